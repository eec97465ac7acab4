"""Finding executions among many millions: the newest first, whatever the filter, within a person's patience.

A look is one statement on one window of ids, or on the candidates that an index has. `looks` goes from the newest
window to the oldest; who calls it may stop at any look, and knows up to where everything has been seen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scheduler.clock import monotonic
from scheduler.model import Status
from scheduler.operations.cron_jobs import id_of
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession

_WINDOW = 20_000
"""Ids of the first look; the next ones are as large as takes about `_SECONDS_A_LOOK`, or half of a shorter patience."""
_LEAST, _LARGEST = 1_000, 2_000_000
_SECONDS_A_LOOK = 0.25
_LINES_A_LOOK = 10_000
_CANDIDATES = 50_000
"""An index is asked where it holds at most so many; fewer, for who has less patience than `_PATIENCE_SECONDS`."""
_PATIENCE_SECONDS = 5.0
_SLACK = timedelta(minutes=10)
"""How much later than its neighbours a row may have been created: ids are given out before rows are written."""
_INDEXED = frozenset({Status.PENDING, Status.RUNNING, Status.FAILED, Status.TIMEOUT, Status.SKIPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which executions; None takes all."""

    statuses: frozenset[Status] | None = None
    handler_name: str | None = None
    queue: str | None = None
    cron_job: str | None = None
    """A name."""
    error: str | None = None
    """Text that the last error holds, in any case."""
    since: datetime | None = None
    """Aware; created at this or later."""
    until: datetime | None = None
    """Aware; created before this."""


@dataclass(frozen=True, slots=True)
class ExecutionLine:
    """An execution in a list. Times in UTC."""

    id: int
    handler_name: str
    status: str
    queue: str
    cron_job: str | None
    attempt: int
    max_retry: int | None
    scheduled_at: datetime
    available_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    """Its first line."""


@dataclass(frozen=True, slots=True)
class Look:
    lines: Sequence[ExecutionLine]
    """The newest first."""
    below: int | None
    """All there is has been seen down to this id, which is the lowest seen; None: all of it."""
    done: float
    """How much of the ids has been seen, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Page:
    lines: Sequence[ExecutionLine]
    below: int | None
    """Where patience ended: all has been seen down to this id. None: the page is full, or there is no more."""
    back_to: datetime | None
    """When that row was created."""


@dataclass(frozen=True, slots=True)
class NamesInUse:
    handlers: set[str]
    queues: set[str]


def newest(
    session: SyncSession,
    search: Search,
    *,
    limit: int = 20,
    before: int | None = None,
    patience: float = _PATIENCE_SECONDS,
    watch: Callable[[Look], None] = lambda look: None,
) -> Page:
    """The newest `limit`, with ids below `before`; those found within `patience` seconds.

    Raises NotFoundError for a cron job that isn't there.
    """
    end = monotonic() + patience
    lines: list[ExecutionLine] = []
    seconds = min(_SECONDS_A_LOOK, patience / 2)
    most = int(_CANDIDATES * min(1.0, patience / _PATIENCE_SECONDS))
    for look in looks(session, search, before=before, limit=limit, seconds=seconds, most=most):
        lines += look.lines
        watch(look)
        if look.below is not None and len(lines) < limit and monotonic() >= end:
            nearest = ask(session, "created_at_or_above", id=look.below)
            return Page(lines, look.below, nearest[0]["created_at"] if nearest else None)
    return Page(lines, None, None)


def looks(
    session: SyncSession,
    search: Search,
    *,
    before: int | None = None,
    limit: int | None = None,
    seconds: float = _SECONDS_A_LOOK,
    most: int | None = None,
) -> Iterator[Look]:
    """All that match, up to `limit`, look after look, each of about so many seconds.

    An index is asked where it holds at most `most`; None: as many as are worth it to who has time.
    Raises NotFoundError for a cron job that isn't there.
    """
    values = _values(session, search)
    lowest, highest = _bounds(session, search, before)
    last: int | None = highest
    size, found = _WINDOW, 0
    ids: list[int] | None = None
    asked_index = False
    while last is not None and lowest <= last:
        first = max(lowest, last - size + 1) if ids is None else lowest
        room = _LINES_A_LOOK if limit is None else min(_LINES_A_LOOK, limit - found)
        began = monotonic()
        rows = ask(session, "search_executions", **values, first=first, last=last, ids=ids, limit=room)
        size = _next_size(size, monotonic() - began, seconds)
        found += len(rows)
        seen = rows[-1]["id"] if len(rows) == room else first
        last = _highest(session, seen - 1) if seen > lowest else None
        below = seen if last is not None and last >= lowest else None
        yield Look([ExecutionLine(**row) for row in rows], below, _done(lowest, highest, seen))
        if found == limit or below is None:
            return
        if not asked_index:  # once, and not before: most pages end in the newest window
            ids, asked_index = _candidates(session, search, values, _CANDIDATES if most is None else most), True


def names_in_use(session: SyncSession) -> NamesInUse:
    """Of cron jobs, and of the newest executions."""
    rows = ask(session, "names_in_use")
    return NamesInUse({row["handler_name"] for row in rows}, {row["queue"] for row in rows})


def _values(session: SyncSession, search: Search) -> dict[str, Any]:
    return {
        "statuses": None if search.statuses is None else [status.value for status in search.statuses],
        "handler_name": search.handler_name,
        "queue": search.queue,
        "cron_job_id": None if search.cron_job is None else id_of(session, search.cron_job),
        "error": search.error,
        "since": search.since,
        "until": search.until,
    }


def _bounds(session: SyncSession, search: Search, before: int | None) -> tuple[int, int]:
    """The lowest and the highest id that may match; the former is above the latter where none does."""
    (ids,) = ask(session, "execution_ids", last=None if before is None else before - 1)
    lowest, highest = ids["first"], ids["last"]
    if lowest is None or highest is None:
        return 1, 0
    if search.since is not None:
        (found,) = ask(session, "first_id_since", moment=search.since - _SLACK)
        lowest = found["safe_id"] or lowest
    if search.until is not None:
        (found,) = ask(session, "first_id_since", moment=search.until + _SLACK)
        highest = min(highest, found["id"] - 1)
    return lowest, highest


def _highest(session: SyncSession, last: int) -> int | None:
    """The highest id there is up to `last`: what retention or a hand left empty is not looked through."""
    (ids,) = ask(session, "execution_ids", last=last)
    highest: int | None = ids["last"]
    return highest


def _candidates(session: SyncSession, search: Search, values: Mapping[str, Any], most: int) -> list[int] | None:
    """Ids that an index knows, among which all are that match; None where none does, or there are more than `most`."""
    asked = {**values, "most": most}
    if search.statuses is not None and search.statuses <= _INDEXED:
        rows = ask(session, "candidates_by_status", **asked)
        if len(rows) <= most:
            return [row["id"] for row in rows]
    if search.cron_job is not None:
        rows = ask(session, "candidates_by_cron_job", **asked)
        if len(rows) <= most:
            return [row["id"] for row in rows]
    return None


def _next_size(size: int, took: float, seconds: float) -> int:
    """Of a window that takes so many seconds, by how long one of `size` took; never another order of magnitude."""
    factor = min(max(seconds / max(took, 0.001), 0.25), 8.0)
    return min(max(int(size * factor), _LEAST), _LARGEST)


def _done(lowest: int, highest: int, seen: int) -> float:
    return min(1.0, (highest - seen + 1) / (highest - lowest + 1))
