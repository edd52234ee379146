"""Tests of the routing engine; no database, no web."""
