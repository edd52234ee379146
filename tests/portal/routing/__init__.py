"""Rule sets: their life, their pages."""
