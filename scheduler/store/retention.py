"""Deleting what is over, as steps: each is one short statement, and whoever takes them chooses when the next one comes.

    begin ──> bounds by count ──> look ──> delete ──> look ──> delete ──> … ──> workers ──> messages ──> …

Nothing here waits or talks to anybody: a service takes the steps with pauses between them, a command without, and a dry
run takes the same ones but for the deletes.
"""

import json
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from psycopg import errors

from scheduler.errors import RightsError
from scheduler.model import FINAL
from scheduler.rules.retention import Keep, Narrowed, Retention
from scheduler.store.asking import one_transaction
from scheduler.store.session import Row, SyncSession

LOOK = 5_000
"""Rows of a window: some milliseconds of reading."""
COUNT = 20_000
"""Rows of a window that are only counted."""
BATCH = 500
"""Rows of one delete."""
_DAY = 86_400
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_NEVER, _ALWAYS = 0.0, 253_402_214_400.0
"""Ticks that are before all others, and after them."""


class Step(NamedTuple):
    """A named statement; what it answers is sent to the generator."""

    statement: str
    values: Mapping[str, Any]


Steps = Generator[Step, list[Row], None]


def following(steps: Steps, rows: list[Row]) -> Step | None:
    """The step after the one that was answered with `rows`; None: that was the last."""
    try:
        return steps.send(rows)
    except StopIteration:
        return None


def take(session: SyncSession, step: Step) -> list[Row]:
    """For a command. Raises as `ask()` does."""
    with one_transaction(session):
        return session.connection().execute(session.sql[step.statement], step.values).fetchall()


@contextmanager
def rights_as_error() -> Iterator[None]:
    """RightsError for what the role may not do."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise RightsError(error.diag.message_primary or str(error)) from error


@dataclass(slots=True)
class Pruned:
    """What has been deleted so far, or would be."""

    executions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By status and queue."""
    oldest: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the oldest of each ended, in Unix seconds."""
    workers: int = 0
    messages: int = 0
    requests: int = 0
    audit: int = 0
    """Lines of who did what."""
    unknown: Sequence[str] = ()
    """Cron jobs that the rules name and that aren't there."""
    done: float = 0.0
    """How much has been walked, 0 to 1."""

    @property
    def total(self) -> int:
        return self.executions.total()


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What goes, as the look asks it. Ids and ticks below these are beyond their count."""

    now: float
    status_days: Mapping[str, float]
    queue_days: Mapping[str, float]
    cron_days: Mapping[str, float]
    status_bounds: Mapping[str, int]
    queue_bounds: Mapping[str, int]
    cron_bounds: Mapping[str, float]
    top: int
    """The highest id that may go."""


class Pruning:
    """One walk over everything. `pruned` grows while its steps are taken."""

    def __init__(self, rules: Retention, narrowed: Narrowed | None = None, *, dry_run: bool = False) -> None:
        self.rules, self.narrowed, self.dry_run = rules, narrowed or Narrowed(), dry_run
        self.pruned = Pruned()

    def steps(self) -> Steps:
        bounds = yield from self._begin()
        if bounds.top > _LOWEST:
            yield from self._executions(bounds)
        if self.narrowed.all:
            yield from self._workers(bounds.now)
            yield from self._messages(bounds.now)
            self.pruned.requests = yield from self._old("requests", bounds.now, self.rules.requests_days)
            self.pruned.audit = yield from self._old("audit", bounds.now, self.rules.audit_days)
        self.pruned.done = 1.0

    def _begin(self) -> Generator[Step, list[Row], _Bounds]:
        ((now, queues, cron_ids),) = yield Step("prune_begin", {"cron_jobs": list(self.rules.cron_jobs)})
        self.pruned.unknown = tuple(sorted(set(self.rules.cron_jobs) - set(cron_ids or ())))
        older = self.narrowed.older_than_days
        if older is not None:
            days = {status.value: older for status in FINAL}
            return _Bounds(now, days, {}, {}, {}, {}, {}, (yield from _first_since(now - older * _DAY)))
        ids = cron_ids or {}
        of_queue = {name: Keep(days, last) for name, (days, last) in (queues or {}).items()}
        of_cron_job = {str(ids[name]): keep for name, keep in self.rules.cron_jobs.items() if name in ids}
        of_status = {status.value: keep for status, keep in self.rules.statuses.items()}
        every = (of_status, of_queue, of_cron_job)
        status_days, queue_days, cron_days = (
            {name: keep.days for name, keep in kind.items() if keep.days is not None} for kind in every
        )
        cron_bounds, top = yield from _bounds_of_cron_jobs(of_cron_job)
        lasting = {
            f"{kind} {name}": keep.last
            for kind, keeps in (("status", of_status), ("queue", of_queue))
            for name, keep in keeps.items()
            if keep.last is not None
        }
        counted = yield from _bounds_by_count(lasting, [int(id_) for id_ in cron_bounds], of_queue)
        ages = [*status_days.values(), *queue_days.values(), *cron_days.values()]
        by_age = (yield from _first_since(now - min(ages) * _DAY)) if ages else _LOWEST
        return _Bounds(
            now, status_days, queue_days, cron_days,
            {name: counted[f"status {name}"] for name in of_status if f"status {name}" in counted},
            {name: counted[f"queue {name}"] for name in of_queue if f"queue {name}" in counted},
            cron_bounds, max(top, by_age, *counted.values(), _LOWEST),
        )  # fmt: skip

    def _executions(self, bounds: _Bounds) -> Steps:
        narrowed = self.narrowed
        values = {
            "now": bounds.now, "top": bounds.top, "look": LOOK, "n": BATCH, "queue": narrowed.queue,
            "statuses": sorted(narrowed.statuses), "forever_days": self.rules.unique_forever_days,
            "status_days": json.dumps(bounds.status_days), "queue_days": json.dumps(bounds.queue_days),
            "cron_days": json.dumps(bounds.cron_days), "status_bounds": json.dumps(bounds.status_bounds),
            "queue_bounds": json.dumps(bounds.queue_bounds), "cron_bounds": json.dumps(bounds.cron_bounds),
        }  # fmt: skip
        ((first, last),) = yield Step("execution_ids", {"last": bounds.top})
        above = _LOWEST
        while True:
            *due, (end, *_) = yield Step("prune_look", values | {"above": above})
            if end is None:
                return
            if due:
                gone = {row[0] for row in due}
                if not self.dry_run:
                    gone = {row[0] for row in (yield Step("prune_delete", {"ids": list(gone), "now": bounds.now}))}
                self._count(row for row in due if row[0] in gone)
            above = due[-1][0] if len(due) == BATCH else end
            self.pruned.done = min(1.0, (above - first + 1) / (last - first + 1)) if last is not None else 1.0

    def _count(self, rows: Iterator[Row]) -> None:
        for _, status, queue, finished_at in rows:
            kind = status, queue
            self.pruned.executions[kind] += 1
            self.pruned.oldest[kind] = min(finished_at, self.pruned.oldest.get(kind, finished_at))

    def _workers(self, now: float) -> Steps:
        if self.rules.workers_days is None:
            return
        values = {"now": now, "days": self.rules.workers_days, "n": BATCH}
        if self.dry_run:
            ((self.pruned.workers,),) = yield Step("prune_workers_due", values)
            return
        gone = BATCH
        while gone == BATCH:
            gone = len((yield Step("prune_workers", values)))
            self.pruned.workers += gone

    def _messages(self, now: float) -> Steps:
        if self.rules.messages_days is None:
            return
        place = {"source": "", "message_id": ""}
        while True:
            values = {"now": now, "days": self.rules.messages_days, "look": BATCH, **place}
            found = yield Step("prune_messages_look", values)
            if not found:
                return
            due = [(source, id_) for source, id_, goes in found if goes]
            if due and not self.dry_run:
                sources, ids = zip(*due, strict=True)
                yield Step("prune_messages", {"sources": list(sources), "message_ids": list(ids)})
            self.pruned.messages += len(due)
            place = dict(zip(("source", "message_id"), found[-1][:2], strict=True))

    def _old(self, kind: str, now: float, days: float | None) -> Generator[Step, list[Row], int]:
        """Rows that go by nothing but their age; how many."""
        if days is None:
            return 0
        values = {"now": now, "days": days, "n": BATCH}
        if self.dry_run:
            ((due,),) = yield Step(f"prune_{kind}_due", values)
            return int(due)
        count, gone = 0, BATCH
        while gone == BATCH:
            gone = len((yield Step(f"prune_{kind}", values)))
            count += gone
        return count


def _first_since(moment: float) -> Generator[Step, list[Row], int]:
    """The highest id of what was created before that Unix time: what is younger has not ended before it either."""
    since = datetime.fromtimestamp(max(moment, 0.0), UTC)
    found = yield Step("first_id_since", {"moment": since})
    return found[0][0] - 1 if found else _LOWEST


def _bounds_of_cron_jobs(rules: Mapping[str, Keep]) -> Generator[Step, list[Row], tuple[dict[str, float], int]]:
    """By id of the cron job, the tick before which its executions go; and the highest id of any of these."""
    bounds, top = dict[str, float](), _LOWEST
    for id_, keep in rules.items():
        if keep.last is None:
            continue
        if keep.last == 0:
            bounds[id_], top = _ALWAYS, _HIGHEST
            continue
        found = yield Step("prune_cron_job_bound", {"cron_job_id": int(id_), "last": keep.last})
        bounds[id_] = found[0][0] if found else _NEVER
        top = max(top, found[0][1]) if found else top
    return bounds, top


def _bounds_by_count(
    lasting: Mapping[str, int], cron_job_ids: Sequence[int], queues: Mapping[str, Keep]
) -> Generator[Step, list[Row], dict[str, int]]:
    """By kind (`queue mail`, `status FAILED`), the id below which its rows go: the primary key is walked downwards.

    The walk ends where each kind has all that it may keep.
    """
    bounds = {kind: _HIGHEST if last == 0 else _LOWEST for kind, last in lasting.items()}
    left = {kind: last for kind, last in lasting.items() if last}
    own = [name for name, keep in queues.items() if keep.last is not None]
    below: int | None = _HIGHEST
    while left and below is not None:
        values = {"below": below, "cron_job_ids": cron_job_ids}
        *counts, (*_, first) = yield Step("prune_count", {**values, "look": COUNT})
        found = Counter[str]()
        for status, queue, count, _ in counts:
            found[f"queue {queue}" if queue in own else f"status {status}"] += count
        for kind in left.keys() & found.keys():
            if found[kind] < left[kind]:
                left[kind] -= found[kind]
                continue
            word, _, name = kind.partition(" ")
            which = {"of_queue": word == "queue", "name": name, "queues": own, "last": left.pop(kind)}
            at = yield Step("prune_bound", {**values, **which, "first": first})
            bounds[kind] = at[0][0] if at else _LOWEST  # some have gone since they were counted
        below = first
    return bounds
