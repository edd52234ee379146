"""The page that explains a decision: the sentence, the funnel, the map, the candidates, and why not another."""
