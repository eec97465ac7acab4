"""Values about the whole job database, as samples of metrics."""

from collections.abc import Iterable

from scheduler.store.asking import ask
from scheduler.store.session import Row, Session, SyncSession

Measured = list[tuple[tuple[str, ...], list[float]]]
"""Metric and label, and the number."""


async def measure(session: Session) -> Measured:
    """Ask once, at a bounded cost."""
    return _samples(await session.run("measure", {}))


def measure_sync(session: SyncSession) -> Measured:
    """The same, within the session's limits. Raises as `ask()` does."""
    return _samples((row["metric"], row["label"], row["number"]) for row in ask(session, "measure"))


def _samples(rows: Iterable[Row]) -> Measured:
    return [((metric,) if label is None else (metric, label), [number]) for metric, label, number in rows]
