"""Statements that turn messages of a broker into executions, once each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import errors

from scheduler import failpoints
from scheduler.store.session import Session

_REFUSED = (
    psycopg.DataError,
    psycopg.IntegrityError,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
    errors.RaiseException,
    UnicodeError,
)
"""What is wrong with a message, not with the tables or with our rights on them."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What the messages of a consumer become. `source` is its message queue, `queue` where the executions wait."""

    source: str
    handler: str
    queue: str
    key: str
    """Of all its executions: at most `concurrency` of them run."""
    concurrency: int
    prefetch: int
    """At most so many of them wait."""


@dataclass(slots=True)
class Taken:
    """What became of messages, by id. One that is in none of these has no room yet."""

    made: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    """Executions of these were there already."""
    refused: dict[str, str] = field(default_factory=dict)
    """No row can hold these, and why."""


class Messages:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def room(self, to: Destination) -> int:
        """How many more messages may become executions now."""
        values = {"key": to.key, "queue": to.queue, "prefetch": to.prefetch}
        return int((await self.session.run("message_room", values))[0][0])

    async def take(self, to: Destination, messages: Mapping[str, str]) -> Taken:
        """Write an execution for each message, JSON text by id, that has none yet and for which there is room.

        One that no row can hold keeps none of the others from being written.
        """
        taken = Taken()
        await self._take(to, list(messages.items()), taken)
        return taken

    async def _take(self, to: Destination, messages: Sequence[tuple[str, str]], taken: Taken) -> None:
        try:
            rows = await self._write(to, messages)
        except errors.UniqueViolation:
            raise  # somebody wrote one of them without taking turns: next time it is known
        except _REFUSED as error:
            if len(messages) == 1:
                taken.refused[messages[0][0]] = _why(error)
                return
            half = len(messages) // 2
            await self._take(to, messages[:half], taken)
            await self._take(to, messages[half:], taken)
        else:
            taken.known |= {id_ for id_, known in rows if known}
            taken.made |= {id_ for id_, known in rows if not known}

    async def _write(self, to: Destination, messages: Sequence[tuple[str, str]]) -> list[tuple[str, bool]]:
        async with self.session.transaction() as transaction:
            await transaction.run("message_turn", {"source": to.source})
            room = await transaction.run("message_room", {"key": to.key, "queue": to.queue, "prefetch": to.prefetch})
            rows = await transaction.run(
                "take_messages",
                {
                    "ids": [id_ for id_, _ in messages],
                    "params": [text for _, text in messages],
                    "source": to.source,
                    "handler": to.handler,
                    "queue": to.queue,
                    "key": to.key,
                    "concurrency": to.concurrency,
                    "room": room[0][0],
                },
            )
            if failpoints.armed:
                await failpoints.reached("before_messages_commit")
        if failpoints.armed:
            await failpoints.reached("after_messages_commit")
        return [(id_, known) for id_, known in rows]


def _why(error: Exception) -> str:
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return f"The job database can't hold it: {said or error}."
