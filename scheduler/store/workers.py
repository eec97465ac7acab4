"""Statements on job_workers: register, heartbeat, wake-up, loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from scheduler.model import LoopAge, WorkerStatus
from scheduler.store.executions import Settlement, Success, release_values, settle_values, success_values
from scheduler.store.session import Session, SyncSession


@dataclass(frozen=True, slots=True)
class Registration:
    """What a worker says of itself when it begins. `lease` in seconds."""

    id: UUID
    name: str
    hostname: str
    pid: int
    queues: Sequence[str]
    pool_size: int
    lease: float
    version: str


@dataclass(frozen=True, slots=True)
class Counters:
    running: int = 0
    succeeded: int = 0
    failed: int = 0


class Workers:
    """The asynchronous side: what the rescuer and the wake-up need."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def mark_lost(self) -> list[tuple[UUID, str]]:
        """(id, name) of workers whose lease had run out."""
        return [(row[0], row[1]) for row in await self.session.run("mark_lost", {})]

    async def stay_awake(self, worker: UUID) -> None:
        """Ask for notifications for the next second."""
        await self.session.run("stay_awake", {"id": worker})


class OwnWorker:
    """The synchronous side: a worker's own row, written by its heartbeat thread."""

    def __init__(self, session: SyncSession) -> None:
        self.session = session

    def register(self, registration: Registration) -> None:
        r = registration
        self.session.run(
            "register",
            {
                "id": r.id,
                "name": r.name,
                "hostname": r.hostname,
                "pid": r.pid,
                "queues": list(r.queues),
                "pool_size": r.pool_size,
                "lease": r.lease,
                "version": r.version,
            },
        )

    def heartbeat(
        self, worker: UUID, lease: float, status: WorkerStatus, counters: Counters, loops: Mapping[str, LoopAge]
    ) -> bool:
        """Renew the lease; False when the worker has been marked LOST."""
        ages = {name: {"age": round(loop.age, 1), "limit": loop.limit} for name, loop in loops.items()}
        return bool(
            self.session.run(
                "heartbeat",
                {
                    "id": worker,
                    "lease": lease,
                    "status": status.value,
                    "running": counters.running,
                    "succeeded": counters.succeeded,
                    "failed": counters.failed,
                    "loops": Jsonb(ages),
                },
            )
        )

    def leave(self, worker: UUID, status: WorkerStatus, counters: Counters) -> None:
        self.session.run(
            "leave", {"id": worker, "status": status.value, "succeeded": counters.succeeded, "failed": counters.failed}
        )

    def held(self, worker: UUID) -> set[tuple[int, UUID]]:
        """(id, token) of the rows that the database believes it to be running."""
        return {(row[0], row[1]) for row in self.session.run("held", {"worker": worker})}

    def settle(self, successes: Sequence[Success], others: Sequence[Settlement]) -> None:
        """Write outcomes, fenced as any other."""
        if successes:
            self.session.run("settle_success", success_values(successes))
        if others:
            self.session.run("settle_other", settle_values(others))

    def release(self, pairs: Sequence[tuple[int, UUID]]) -> list[int]:
        """Hand back rows by (id, token); the ids that were still held."""
        return [row[0] for row in self.session.run("release", release_values(pairs))]
