"""The end of a scenario: compare, put the figures into the table, and fail with every fault named."""

from typing import Any

from tests.soak import audit
from tests.soak.conftest import Story
from tests.soak.ledger import Ledger
from tests.soak.place import Place
from tests.soak.watch import Watch

BACK_S = (
    10.0  # on a machine that has nothing else to do; on a busy one as much longer as everything takes there
)


def report(
    story: Story,
    town: Place,
    ledger: Ledger,
    watch: Watch,
    rested: float,
    *,
    back_s: float = BACK_S,
    **more: Any,
) -> None:
    """Figures into the summary; AssertionError when anything was lost, doubled, stuck or too long away."""
    faults = audit.compare(town, ledger) + watch.faults
    worst, limit = watch.worst(ledger), back_s * watch.stretch
    for what, (count, seconds) in sorted(worst.items()):
        story.row(**{f"{what}: blows, worst way back": f"{count}, {_seconds(seconds)}"})
        if seconds is None or seconds > limit:
            faults.append(f"after {what} the service was back in {_seconds(seconds)}")
    done = ledger.acknowledged()
    kinds = {kind: sum(entry.kind == kind for entry in done) for kind in sorted({e.kind for e in done})}
    story.row(
        blows=len(watch.blows),
        acknowledged=f"{len(done)} ({', '.join(f'{n} {kind}' for kind, n in kinds.items())})",
        outcome_unknown_and_repeated=sum(entry.unknown > 0 for entry in done),
        repeats=sum(entry.tries - 1 for entry in ledger.entries),
        answers=", ".join(f"{n} x {what}" for what, n in sorted(ledger.statuses.items())),
        events_read_in_order=f"{watch.read} from the log, {len(ledger.followed)} by API",
        worst_feed_lag=f"{watch.feed_lag:.1f} s",
        worst_lateness_of_work=f"{watch.work_lag:.1f} s",
        at_rest_after=f"{rested:.1f} s",
        parked=", ".join(f"{n} {kind} ({why})" for kind, why, n in audit.parked(town)) or "none",
        limit_for_the_way_back=f"{limit:.1f} s (this machine takes {watch.stretch:.1f} times as long as when idle)",
        log=str(town.log_path),
        faults=len(faults),
        **more,
    )
    assert done, "the clients did nothing"
    assert not faults, "\n".join(faults)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
