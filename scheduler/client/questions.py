"""Each thing that is asked once: a statement, its values, and what its answer means. Both clients ask the same."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import getpid
from socket import gethostname
from typing import Any, Generic, TypeVar
from uuid import UUID

from scheduler.client.nouns import Claimed, Execution, QueueStats, Seen, queue_stats_of
from scheduler.errors import (
    ConflictError,
    ExecutionFailedError,
    LeaseLostError,
    NotFoundError,
    ParamsError,
    did_you_mean,
)
from scheduler.handlers.params import encode_params
from scheduler.model import Status

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    statement: str
    values: dict[str, Any]
    answer: Callable[[list[Any]], T]
    """From the rows' first column; raises what the method of the client says."""


def look(ids: Sequence[int], *, final_only: bool) -> Question[Sequence[Seen]]:
    values = {"ids": [_id(each) for each in ids], "final_only": final_only}
    return Question("client_executions", values, lambda rows: [Seen.of(row) for row in rows])


def get(id_: int) -> Question[Execution]:
    def answer(rows: list[Any]) -> Execution:
        found = Seen.of(rows[0]).execution
        if found is None:
            raise unknown(id_)
        return found

    return Question("client_executions", {"ids": [_id(id_)], "final_only": False}, answer)


def unknown(id_: int) -> NotFoundError:
    return NotFoundError(
        f"No execution has the id {id_}. One that an open transaction has enqueued is there once that is committed."
    )


def cancel(id_: int, reason: str | None) -> Question[Status]:
    return Question("client_cancel", {"id": _id(id_), "reason": reason}, lambda rows: Status(rows[0]))


def retry(id_: int) -> Question[Status]:
    def answer(rows: list[Any]) -> Status:
        told = json.loads(rows[0])
        if told["unique_key"] is None:
            return Status(told["status"])
        stays = f"Execution {id_} stays {told['status']}: "
        if told["holder"] is None:
            raise ConflictError(f"{stays}its unique key {told['unique_key']!r} was taken for a moment. Retry it again.")
        raise ConflictError(
            f"{stays}execution {told['holder']} ({told['holder_status']}) holds its unique key {told['unique_key']!r}. "
            "Retry it when that one is final, or cancel that one."
        )

    return Question("client_retry", {"id": _id(id_)}, answer)


def queue_stats(name: str) -> Question[QueueStats | None]:
    return Question("client_queue", {"name": name}, lambda rows: queue_stats_of(rows[0]) if rows else None)


def queue_names(missing: str) -> Question[NotFoundError]:
    """The error about a queue that nothing names."""

    def answer(rows: list[str]) -> NotFoundError:
        return NotFoundError(
            f"No worker, cron job or recent execution names a queue {missing!r}.{did_you_mean(missing, rows)}"
        )

    return Question("client_queue_names", {}, answer)


def register(name: str, queues: Sequence[str], pool_size: int, lease_seconds: float, version: str) -> Question[UUID]:
    values = {
        "name": name,
        "queues": list(queues),
        "pool_size": pool_size,
        "hostname": gethostname(),
        "pid": getpid(),
        "lease_seconds": lease_seconds,
        "version": version,
    }
    return Question("client_register", values, lambda rows: UUID(rows[0]))


def heartbeat(worker: UUID, lease_seconds: float) -> Question[None]:
    def answer(rows: list[Any]) -> None:
        if rows != [True]:
            raise LeaseLostError(f"Worker {worker} is lost: stop what it claimed, and register another.")

    return Question("client_heartbeat", {"worker": str(worker), "lease_seconds": lease_seconds}, answer)


def claim(worker: UUID, queue: str, n: int) -> Question[list[Claimed]]:
    values = {"worker": str(worker), "queue": queue, "n": n}
    return Question("client_claim", values, lambda rows: [Claimed.of(row) for row in rows])


def complete(claimed: Claimed, result: Any) -> Question[None]:
    def answer(rows: list[Any]) -> None:
        if rows != [True]:
            raise lost(claimed)

    values = {"id": claimed.id, "token": str(claimed.token), "result": None if result is None else _result(result)}
    return Question("client_complete", values, answer)


def fail(claimed: Claimed, error: str) -> Question[Status]:
    def answer(rows: list[Any]) -> Status:
        if not rows or rows[0] is None:
            raise lost(claimed)
        return Status(rows[0])

    return Question("client_fail", {"id": claimed.id, "token": str(claimed.token), "error": error}, answer)


def lost(claimed: Claimed) -> LeaseLostError:
    return LeaseLostError(
        f"The claim of execution {claimed.id} is over, and nothing was recorded: it is recorded already, or the lease "
        "of its worker ran out and somebody else has it."
    )


def result_of(ended: Execution) -> Any:
    """Raises ExecutionFailedError unless it succeeded."""
    if ended.status is not Status.SUCCESS:
        raise ExecutionFailedError(ended.id, ended.handler_name, ended.status, ended.error, ended.traceback)
    return ended.result


def _id(given: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool):
        raise NotFoundError(f"{given!r} is no id of an execution: give the number that enqueue() returned.")
    if not -(2**63) <= given < 2**63:
        raise unknown(given)
    return given


def _result(result: Any) -> str:
    try:
        return encode_params(result)
    except ParamsError as error:
        raise ParamsError(str(error).replace("The params", "The result", 1)) from error
