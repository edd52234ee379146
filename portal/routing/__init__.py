"""Routing: rule sets and their pages (rulesets), snapshots of the directory, decisions and the counters they lock."""
