"""Whether work gets on, as the job database sees it: somebody plans and runs, nothing stalls or stays in doubt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scheduler.operations.overview import workers
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession

TICK_LAG_SECONDS: Final = 60.0
"""A tick that is so late means that nobody plans."""
IN_DOUBT_SECONDS: Final = 600.0
"""By then a coordinator has given up, and the resolver should have settled it."""


@dataclass(frozen=True, slots=True)
class LineHealth:
    healthy: bool
    problems: tuple[str, ...]
    """What is wrong, as sentences; empty where nothing is."""
    workers: int
    """With a valid lease."""
    stalled: Mapping[str, Mapping[str, float]]
    """Worker → loop → seconds since it last succeeded; only loops for which that is too long."""
    tick_lag_seconds: float | None
    """How long the oldest tick has been due that isn't planned; None: none is."""
    in_doubt: int
    """Transactions over several databases that are prepared and not ended, or decided and not carried out."""
    in_doubt_seconds: float | None
    """The age of the oldest of them."""


def examine(session: SyncSession) -> LineHealth:
    """Raises as `ask()` does where the database doesn't answer."""
    (row,) = ask(session, "line_health")
    stalled = {worker.name: worker.stalled for worker in workers(session) if worker.stalled}
    problems = tuple(_problems(row["workers"], stalled, row["tick_lag_seconds"], row["in_doubt_seconds"]))
    return LineHealth(healthy=not problems, problems=problems, stalled=stalled, **row)


def _problems(
    count: int, stalled: Mapping[str, Mapping[str, float]], lag: float | None, in_doubt: float | None
) -> list[str]:
    found = []
    if not count:
        found.append("No worker is active: start `scheduler run`.")
    for worker, loops in sorted(stalled.items()):
        found.append(f"Worker {worker} does not get on with {', '.join(sorted(loops))}: look at its log.")
    if lag is not None and lag > TICK_LAG_SECONDS:
        found.append(f"A tick has been due for {lag:.0f} s and nobody plans it: `scheduler doctor` says more.")
    if in_doubt is not None and in_doubt > IN_DOUBT_SECONDS:
        found.append(f"A transaction has been in doubt for {in_doubt:.0f} s: `scheduler doctor` says which.")
    return found
