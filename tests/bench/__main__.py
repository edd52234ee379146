"""Runs benchmarks, prints a table and writes var/bench/<topic>.json."""

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.harness import Result

TOPICS = ("feed", "intake", "lists", "memory", "pages", "routing", "slow", "start", "verification", "work")
OUT = Path("var/bench")


def main(names: list[str]) -> int:
    """Run the topics named (all by default); 1 when a target was missed."""
    unknown = set(names) - set(TOPICS)
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}. Choose from {', '.join(TOPICS)}.")
    OUT.mkdir(parents=True, exist_ok=True)
    missed = False
    for name in names or TOPICS:
        results: list[Result] = importlib.import_module(f"tests.bench.{name}").run()
        (OUT / f"{name}.json").write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")
        Console().print(table(name, results))
        missed |= any(r.ok is False for r in results)
    return int(missed)


def table(name: str, results: list[Result]) -> Table:
    """What a person reads."""
    made = Table(title=name)
    for column in ("case", "metric", "value", "unit", "target", ""):
        made.add_column(column, justify="right" if column in ("value", "target") else "left")
    for r in results:
        mark = {True: "ok", False: "MISSED", None: ""}[r.ok]
        sign = "" if r.target is None else ("<= " if r.better == "lower" else ">= ")
        target = "" if r.target is None else f"{sign}{r.target:g}"
        made.add_row(r.case, r.metric, f"{r.value:,.1f}", r.unit, target, mark)
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
