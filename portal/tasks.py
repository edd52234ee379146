"""Imports every room's work handlers, so that a worker knows them all."""

from importlib import import_module

ROOMS = ("leads", "sharing")
for _room in ROOMS:
    import_module(f"portal.{_room}.tasks")
