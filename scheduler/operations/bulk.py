"""Cancel and retry, one or a hundred thousand: in batches, and what can't be done is told and stops no other."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from scheduler.errors import RefusedError
from scheduler.model import Status
from scheduler.operations.executions import unknown
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession

BATCH = 500
"""Rows of one transaction."""


class Action(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"


POSSIBLE = {
    Action.CANCEL: frozenset({Status.PENDING, Status.RUNNING}),
    Action.RETRY: frozenset({Status.SUCCESS, Status.FAILED, Status.TIMEOUT, Status.CANCELLED}),
}
"""The statuses that an action can do something about."""
MEANT = {
    Action.CANCEL: frozenset({Status.PENDING, Status.RUNNING}),
    Action.RETRY: frozenset({Status.FAILED, Status.TIMEOUT}),
}
"""Those that a person means who names none: nobody wants to run again what has succeeded, but by its id."""
_WHY_NOT: Mapping[tuple[Action, str], str] = {
    (Action.RETRY, Status.PENDING): "waits already",
    (Action.RETRY, Status.RUNNING): "is running: wait for its end, or cancel it first",
    (Action.RETRY, Status.SKIPPED): "is a skipped tick: `scheduler cron run` runs its cron job now",
}


class Result(StrEnum):
    DONE = "done"
    CHANGED = "changed"
    """Somebody was faster: it no longer has the status that was asked for."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one."""

    id: int
    result: Result
    status: str | None
    """The one it has now; None: not known. One that runs stays RUNNING when it is asked to stop."""
    why: str | None = None
    """Why nothing was done, as a sentence."""


def act(
    session: SyncSession,
    action: Action,
    ids: Collection[int],
    *,
    statuses: frozenset[Status] | None = None,
    reason: str | None = None,
    params: str | None = None,
) -> Iterator[list[Answer]]:
    """Cancel or retry these, a batch after the other; the answers to each batch, in its order.

    With `statuses`, only those that still have one of them when their turn comes. `reason` is for a cancel;
    `params`, as JSON, are for a retry: what they are given from now on.
    """
    turn = _Turn(session, action, statuses, reason, params)
    rest = iter(ids)
    while batch := list(islice(rest, BATCH)):
        yield turn.batch(batch)


@dataclass(frozen=True, slots=True)
class _Turn:
    session: SyncSession
    action: Action
    statuses: frozenset[Status] | None
    reason: str | None
    params: str | None

    @property
    def _not_done(self) -> Result:
        """Of one that isn't what the action is for: a mistake, unless it was so when it was found."""
        return Result.REFUSED if self.statuses is None else Result.CHANGED

    def batch(self, ids: Sequence[int]) -> list[Answer]:
        """Together; alone, those that somebody else holds or that have changed, and all of them if one is refused."""
        try:
            rows = self._ask("act_on_free", ids=ids)
        except RefusedError:
            rows = []
        answers = {row["id"]: self._answer(**row) for row in rows}
        return [answers.get(id_) or self._alone(id_) for id_ in ids]

    def _alone(self, id_: int) -> Answer:
        try:
            rows = self._ask("act_on_one", id=id_)
        except RefusedError as error:
            return Answer(id_, Result.REFUSED, None, f"Execution {id_} stays as it is. {error}")
        return self._answer(**rows[0]) if rows else Answer(id_, self._not_done, None, unknown(id_))

    def _ask(self, statement: str, **which: Any) -> list[dict[str, Any]]:
        statuses = [status.value for status in self.statuses or POSSIBLE[self.action]]
        how = {"action": self.action.value, "statuses": statuses, "reason": self.reason, "params": self.params}
        return ask(self.session, statement, **which, **how)

    def _answer(self, id: int, was: str, status: str | None) -> Answer:  # noqa: A002 - the column's name
        if status is None:
            why = _WHY_NOT.get((self.action, was), f"is {was} already")
            return Answer(id, self._not_done, was, f"Execution {id} {why}.")
        if self.action is Action.RETRY and status != Status.PENDING:
            return Answer(id, Result.REFUSED, status, self._key_taken(id, status))
        return Answer(id, Result.DONE, status)

    def _key_taken(self, id_: int, status: str) -> str:
        holders = ask(self.session, "unique_key_holder", id=id_)
        if not holders:
            return f"Execution {id_} stays {status}: its unique key was taken for a moment. Retry it again."
        holder = holders[0]
        return (
            f"Execution {id_} stays {status}: execution {holder['id']} ({holder['status']}) holds its unique key "
            f"{holder['unique_key']!r}. Retry it when that one is final, or cancel that one."
        )
