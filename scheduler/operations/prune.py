"""Retention at once: the walk of the pruner without its pauses, as far as somebody wants it."""

from collections.abc import Iterator

from scheduler.errors import NotFoundError, did_you_mean
from scheduler.operations.queues import names
from scheduler.rules.retention import Narrowed, Retention
from scheduler.store.asking import ask
from scheduler.store.retention import Pruned, Pruning, following, take
from scheduler.store.session import SyncSession


def prune(
    session: SyncSession, rules: Retention, narrowed: Narrowed | None = None, *, dry_run: bool = False
) -> Iterator[Pruned]:
    """Delete what may go, or only count it; what has been done so far, after each step, the last one complete.

    A pruner at the same time is in nobody's way: each row is deleted once, and counted by who did. Raises as `ask()`.
    """
    pruning = Pruning(rules, narrowed, dry_run=dry_run)
    steps = pruning.steps()
    step = next(steps, None)
    while step is not None:
        step = following(steps, take(session, step))
        yield pruning.pruned


def require_queue(session: SyncSession, name: str) -> None:
    """Raises NotFoundError for a queue that nothing names and no execution has, however old."""
    known = set(names(session))
    if name not in known and not ask(session, "queue_has_executions", queue=name):
        raise NotFoundError(
            f"No worker, cron job or execution names a queue {name[:200]!r}.{did_you_mean(name, known)} "
            "`scheduler queues list` shows all of them."
        )
