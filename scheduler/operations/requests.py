"""Enqueue once: a request whose answer got lost may be sent again and enqueues nothing more.

What was asked for and what became of it are one transaction; of two with the same key the second waits for the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.errors import ConflictError
from scheduler.model import NewExecution
from scheduler.operations.executions import enqueue
from scheduler.store.asking import ask, one_transaction
from scheduler.store.enqueuing import enqueue_many
from scheduler.store.session import SyncSession


@dataclass(frozen=True, slots=True)
class Request:
    scope: str
    """Whose key it is."""
    key: str
    digest: bytes
    """SHA-256 of what is asked for."""


@dataclass(frozen=True, slots=True)
class EnqueuedAll:
    ids: Sequence[int]
    existing: bool
    """Of one: it was there before, and holds the unique key."""
    replayed: bool
    """The request was answered before; nothing was enqueued now."""


def enqueue_all(session: SyncSession, new: Sequence[NewExecution], request: Request | None = None) -> EnqueuedAll:
    """All of them or none, in one transaction; with a request, at most once.

    Raises as `enqueue()` does, and ConflictError where the key was used for something else.
    """
    if request is None and len(new) == 1:  # a transaction by itself, with no round trip more than it takes
        return EnqueuedAll(*_enqueued(session, new), replayed=False)
    with one_transaction(session):
        if request is not None and (before := _before(session, request)) is not None:
            return before
        ids, existing = _enqueued(session, new)
        if request is not None:
            ask(session, "answer_request", scope=request.scope, key=request.key, ids=ids)
        return EnqueuedAll(ids, existing, replayed=False)


def _before(session: SyncSession, request: Request) -> EnqueuedAll | None:
    which = {"scope": request.scope, "key": request.key}
    if ask(session, "begin_request", **which, digest=request.digest):
        return None
    (seen,) = ask(session, "request_seen", **which)
    if seen["digest"] != request.digest:
        raise ConflictError(
            f"The Idempotency-Key {request.key!r} was used before, for something else: send the same as then, or "
            "another key for another request."
        )
    return EnqueuedAll(seen["execution_ids"], existing=True, replayed=True)


def _enqueued(session: SyncSession, new: Sequence[NewExecution]) -> tuple[list[int], bool]:
    if len(new) == 1:
        one = enqueue(session, new[0])
        return [one.id], one.existing
    rows = ((each, each.handler_params) for each in new)
    return enqueue_many(session.connection(), rows, session.schema, len(new)), False
