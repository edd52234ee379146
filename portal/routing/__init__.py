"""Routing: rule sets, snapshots of the directory, decisions and the counters they lock. It has no pages."""
