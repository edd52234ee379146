"""The routing engine in this process: a decision, its explanation, batches, compiling, changing, memory; all in one run.

A world of 1,000 to 100,000 locations (tests/rules/seeded.py) against 10 to 5,000 rows. Each decision is a shortlist and
a decision with the counters of that shortlist, timed as a caller waits for it (wall) and as the processor works for it
(CPU); the percentiles are of all decisions of `ROUNDS` rounds, the first one apart. The reference answers some of the
same requests beside it; every answer that both gave is compared.
"""

import gc
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from rules import Decision, Plan, Reference, Request, RuleSet, State
from tests.bench.harness import Result, result
from tests.rules import seeded

PARTNERS = (1_000, 10_000, 100_000)
ROWS = (10, 100, 1_000, 5_000)
REQUESTS, ROUNDS = 1_000, 3
BATCH = 10_000
REFERENCE_REQUESTS = 12
CHANGES = 30
EXPLAINED = 300
TARGETS = {(10_000, 1_000): (60.0, 300.0), (100_000, 1_000): (80.0, 250.0)}  # us, DESIGN section 9
COMPILE_S, CHANGE_MS, MEMORY_MB, GROWTH, MATRIX_US, WHY_US = 1.5, 5.0, 150.0, 2.0, 100.0, 5.0


def run() -> list[Result]:
    """Every size; the targets hold where DESIGN names one."""
    found: list[Result] = []
    middles: dict[tuple[int, int], float] = {}
    for partners in PARTNERS:
        world = seeded.world(partners)
        for rows in ROWS:
            found += _size(world, seeded.rule_set(rows), partners, rows, middles)
        gc.collect()
    found += [
        result(
            f"{rows} rows",
            "10 times the partners: p50 grows",
            middles[big, rows] / middles[small, rows],
            "x",
            GROWTH,
        )
        for rows in ROWS
        for small, big in pairwise(PARTNERS[1:])
    ]
    return found


def _size(
    world: seeded.World, rules: RuleSet, partners: int, rows: int, middles: dict[tuple[int, int], float]
) -> list[Result]:
    case = f"{partners:,} x {rows:,}"
    large = partners == PARTNERS[-1]
    began = time.process_time()
    plan = Plan(rules, world.snapshot)
    found = [
        result(
            case,
            "compile, CPU",
            time.process_time() - began,
            "s",
            COMPILE_S if large and rows == 1_000 else None,
        )
    ]
    requests = world.requests(REQUESTS)
    began = time.process_time()
    plan.decide(requests[0], plan.shortlist(requests[0]), State())
    found.append(result(case, "first decision of a day, CPU", (time.process_time() - began) * 1000, "ms"))
    asked = [(one, seeded.state_for(plan.shortlist(one).ids, one.id)) for one in requests]
    gc.collect()
    gc.freeze()  # what the bench keeps is not what a decision costs
    middle, far = TARGETS.get((partners, rows), (None, None))
    wall, cpu = _times(plan, asked)
    middles[partners, rows] = _percentile(wall, 0.5)
    found += [
        result(case, "decide p50", _percentile(wall, 0.5), "us", middle),
        result(case, "decide p99", _percentile(wall, 0.99), "us", far),
        result(case, "decide p50, CPU", _percentile(cpu, 0.5), "us"),
        result(case, "decide p99, CPU", _percentile(cpu, 0.99), "us"),
    ]
    found += _explained(case, plan, asked, (partners, rows) in TARGETS)
    found += _reference(case, plan, world, rules, asked)
    if rows == 1_000:
        found += _batch(case, plan, world)
    found += _changes(case, plan, CHANGE_MS if large else None)
    if large:
        found += _memory(case, world, rules, MEMORY_MB if rows == 5_000 else None)
    gc.unfreeze()
    return found


Asked = list[tuple[Request, State]]


def _times(plan: Plan | Reference, asked: Asked) -> tuple[list[float], list[float]]:
    """Microseconds of every decision but those of the first round, by wall and by CPU."""
    wall, cpu = [], []
    for round_ in range(ROUNDS + 1):
        for request, state in asked:
            began, worked = time.perf_counter(), time.thread_time()
            plan.decide(request, plan.shortlist(request), state)
            if round_:
                cpu.append((time.thread_time() - worked) * 1e6)
                wall.append((time.perf_counter() - began) * 1e6)
    return wall, cpu


def _percentile(values: list[float], q: float) -> float:
    return sorted(values)[int(len(values) * q)]


def _explained(case: str, plan: Plan, asked: Asked, judged: bool) -> list[Result]:
    """Which gate stopped each of all candidates, beside the decision; the whole matrix; one candidate out of it."""
    first, matrix, why = [], [], []
    someone = plan.snapshot.candidates[0].id
    for request, state in asked[:EXPLAINED]:
        began = time.perf_counter()
        shortlist = plan.shortlist(request)
        plan.decide(request, shortlist, state)
        plan.gates(request, shortlist, state)
        decided = time.perf_counter()
        made = plan.matrix(request, state)
        explained = time.perf_counter()
        made.stopping(someone)
        why.append((time.perf_counter() - explained) * 1e6)
        first.append((decided - began) * 1e6)
        matrix.append((explained - decided) * 1e6)
    return [
        result(case, "decide and everybody's first gate p50", _percentile(first, 0.5), "us"),
        result(case, "decide and everybody's first gate p99", _percentile(first, 0.99), "us"),
        result(case, "explanation matrix p50", _percentile(matrix, 0.5), "us", MATRIX_US if judged else None),
        result(case, "why not one candidate p50", _percentile(why, 0.5), "us", WHY_US if judged else None),
    ]


def _reference(case: str, plan: Plan, world: seeded.World, rules: RuleSet, asked: Asked) -> list[Result]:
    """The specification on some of the same requests; a difference ends the run."""
    reference = Reference(rules, world.snapshot)
    times = []
    for request, state in asked[:REFERENCE_REQUESTS]:
        began = time.thread_time()
        theirs: Decision = reference.decide(request, reference.shortlist(request), state)
        times.append((time.thread_time() - began) * 1e6)
        ours = plan.decide(request, plan.shortlist(request), state)
        if ours.result_hash != theirs.result_hash:
            raise AssertionError(f"{case}: request {request.id} is decided otherwise by the reference")
    return [result(case, "the reference p50, CPU", _percentile(times, 0.5), "us")]


def _batch(case: str, plan: Plan, world: seeded.World) -> list[Result]:
    """Ten thousand requests one after the other, each seeing the counters the ones before have left."""
    requests = world.requests(BATCH, seed=7)
    load: dict[int, int] = {}
    credit: dict[int, int] = {}
    state = State(load, credit)
    began = time.process_time()
    for request in requests:
        decision = plan.decide(request, plan.shortlist(request), state)
        credit.update(decision.credits)
        if decision.ranked:
            first = decision.ranked[0].id
            load[first] = load.get(first, 0) + 1
    return [result(case, f"batch of {BATCH:,}, CPU", time.process_time() - began, "s")]


def _changes(case: str, plan: Plan, target: float | None) -> list[Result]:
    """One location's level, capacity and certificates change: the plan of the next version, ready to decide."""
    times = []
    for number in range(CHANGES):
        one = plan.snapshot.candidates[(number * 37) % len(plan.snapshot.candidates)]
        changed = replace(one, level="Gold", capacity=7, certifications=one.certifications[1:])
        began = time.process_time()
        plan = plan.changed(plan.snapshot.version + 1, (changed,))
        times.append((time.process_time() - began) * 1000)
    return [result(case, "one changed location, CPU p50", _percentile(times, 0.5), "ms", target)]


def _memory(case: str, world: seeded.World, rules: RuleSet, target: float | None) -> list[Result]:
    """What a plan with today's view holds, beside the candidates themselves."""
    request = world.requests(1)[0]

    def compiled() -> Any:
        plan = Plan(rules, world.snapshot)
        plan.decide(request, plan.shortlist(request), State())
        return plan

    return [
        result(case, "memory of a plan", _held_by(compiled) / 1e6, "MB", target),
        result(case, "this process at most", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, "MB"),
    ]


def _held_by(make: Callable[[], Any]) -> int:
    """Bytes that remain allocated for what `make` returns."""
    tracemalloc.start()
    made = make()
    gc.collect()
    held, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sys.getrefcount(made) >= 1
    return held
