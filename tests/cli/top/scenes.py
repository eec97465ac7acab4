"""Snapshots as they may be."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from scheduler.operations.live import AlertLine, FailureLine, RunningLine, Snapshot
from scheduler.operations.overview import UpcomingTick, WorkerStatus
from scheduler.operations.queues import QueueStatus

NOW = datetime(2026, 3, 7, 12, 0, tzinfo=UTC)
HOSTILE = "a\x1b[2J\nb[red]c[/red]"


def queue(name: str, *, waiting: int = 0, running: int = 0, delayed: int = 0, paused: bool = False) -> QueueStatus:
    oldest = 72.0 if waiting else None
    return QueueStatus(
        name, paused, None, None, waiting, delayed, running, oldest, 1, 120.0, None, None, None, None, None, None, None
    )


def worker(name: str, *, running: int = 3, stalled: dict[str, float] | None = None) -> WorkerStatus:
    began = NOW - timedelta(hours=3)
    return WorkerStatus(
        UUID(int=1), name, "app-1", 7, "ACTIVE", "active", ["default", "mail"], 10, running, 48_211, 17, NOW, began,
        "0.1.0", {}, stalled or {},
    )  # fmt: skip


def running(
    id_: int, handler: str, *, age: float, left: float, progress: float | None, said: str | None
) -> RunningLine:
    return RunningLine(id_, handler, "default", None, 1, age, left, progress, said, "app-1:7", False)


def failure(id_: int, handler: str, error: str) -> FailureLine:
    return FailureLine(id_, handler, "mail", "FAILED", NOW - timedelta(minutes=id_ % 50), 3, error)


BUSY = Snapshot(
    NOW,
    [queue("default", waiting=1_204, running=4), queue("mail", running=2, delayed=17), queue("slow", paused=True)],
    [
        running(91_034, "import.customers", age=312, left=288, progress=0.62, said="row 62,000 of 100,000"),
        running(91_040, "thumbnail", age=3, left=27, progress=0.1, said=None),
        running(91_041, "email", age=1, left=119, progress=None, said=None),
        running(91_042, "report", age=290, left=10, progress=0.97, said="almost"),
        running(91_044, "sync", age=320, left=-20, progress=None, said=None),
    ],
    [worker("app-1:7", running=6), worker("app-1:8", running=0, stalled={"claim": 44.0})],
    [
        failure(90_101, "email", "SMTPServerDisconnected: Connection unexpectedly closed"),
        failure(90_077, "invoice", "ValueError: no customer 4711"),
    ],
    [
        UpcomingTick("nightly", (NOW + timedelta(hours=15)).astimezone(ZoneInfo("Europe/Berlin"))),
        UpcomingTick("every five minutes", NOW + timedelta(minutes=4)),
    ],
    [AlertLine("dead_letter", "2 executions have used up all tries of the handler email", NOW - timedelta(minutes=9))],
)
EMPTY = Snapshot(NOW, [], [], [], [], [], [])
