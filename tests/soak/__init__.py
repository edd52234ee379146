"""Endurance: real installations that are hurt on purpose while clients keep a ledger. `make soak`, or `make soak T=path`.

A scenario is a pytest function in a file here; all of them are marked `soak` (conftest), print their progress and have
lines in the table at the end (`story.say`, `story.row`), and take every chance from `seed`. `place()` is an installation
of its own, `Clients` loads it and keeps the ledger, `Watch` looks on from outside, `report` compares and fails:

    def test_something(story, seed):
        with place() as town:
            town.up()
            with Clients(town, seed) as clients, Watch(town) as watch:
                watch.blow("what is done now")
                ...
                clients.stop()
                rested = audit.rest(town)
            report(story, town, clients.ledger, watch, rested)
"""
