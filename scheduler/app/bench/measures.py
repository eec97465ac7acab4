"""The measurements, each on its own. `tell` hears how far one is, 0 to 1."""

from collections.abc import Callable, Iterator
from statistics import median
from time import sleep
from typing import Any, Final

from scheduler.app.bench.fleet import Fleet
from scheduler.app.bench.jobs import NOOP, PICKED_UP
from scheduler.app.bench.report import Cron, Drain, Enqueue, Percentiles, Yardstick
from scheduler.client import Client
from scheduler.clock import monotonic
from scheduler.errors import BenchmarkError
from scheduler.operations.cron_jobs import CronJobDefinition, add
from scheduler.store import benching
from scheduler.store.session import SyncSession

Tell = Callable[[float], None]

CRON_JOBS: Final = 5
_YARDSTICK_SECONDS: Final = 1.0
_YARDSTICK_TIMES: Final = 200
_SINGLE: Final = 1_000
_UNSERVED: Final = "unserved"
"""A queue that no worker claims from."""
_TOLD_EACH: Final = 1_000
_LOOK_SECONDS: Final = 0.1
_LOOK_SHARE: Final = 20
"""A large backlog takes a while to count: that may be one part in so many of the server's time."""
_REST_SECONDS: Final = 0.05
"""In which a worker that has just run something becomes idle."""
_WARM_UP: Final = 5
_LEAST_SAMPLES: Final = 5
_PATIENCE_SECONDS: Final = 60.0
"""For something to happen that should happen at once."""


def yardstick(session: SyncSession) -> Yardstick:
    benching.make_yardstick(session)
    return Yardstick(
        round_trip=_median_of(lambda: benching.round_trip_seconds(session)),
        insert=_median_of(lambda: benching.insert_seconds(session)),
    )


def enqueue(client: Client, session: SyncSession, jobs: int, seconds: float, tell: Tell) -> Enqueue:
    """Single ones for at most so many seconds, then all jobs at once; none is left."""
    client.enqueue(NOOP, {"n": 0}, queue=_UNSERVED)  # connects
    singles, began = 0, monotonic()
    while singles < min(jobs, _SINGLE) and (not singles or monotonic() - began < seconds):
        singles += 1
        client.enqueue(NOOP, {"n": singles}, queue=_UNSERVED)
        tell(singles / min(jobs, _SINGLE) / 2)
    single_seconds, began = monotonic() - began, monotonic()
    client.enqueue_many(NOOP, _numbered(jobs, lambda done: tell(0.5 + done / 2)), queue=_UNSERVED)
    bulk_seconds = monotonic() - began
    benching.empty(session)
    return Enqueue(singles, singles / single_seconds, jobs, jobs / bulk_seconds)


def drain(client: Client, session: SyncSession, workers: Fleet, jobs: int, tell: Tell) -> Drain:
    """A backlog that appears at once, committed in one transaction, before workers that are there already."""
    before = workers.cpu_seconds()
    client.enqueue_many(NOOP, _numbered(jobs, lambda _: None))
    _until_nothing_waits(session, workers, jobs, tell)
    found = benching.drained(session, NOOP)
    cpu = workers.cpu_seconds() - before
    if found.done != jobs or not found.seconds:
        raise BenchmarkError(f"Only {found.done} of {jobs} executions succeeded: the figures would be worth nothing.")
    return Drain(jobs, jobs / found.seconds, cpu / jobs)


def latency(client: Client, seconds: float, tell: Tell) -> Percentiles:
    for _ in range(_WARM_UP):
        _picked_up_after(client)
    began, found = monotonic(), list[float]()
    while len(found) < _LEAST_SAMPLES or monotonic() - began < seconds:
        found.append(_picked_up_after(client))
        tell(min(1.0, (monotonic() - began) / seconds))
    return Percentiles.of(found)


def cron(session: SyncSession, workers: Fleet, seconds: float, tell: Tell) -> Cron:
    """A few cron jobs that are due every second, for so many seconds and until they have ticked."""
    for n in range(CRON_JOBS):
        add(session, CronJobDefinition(name=f"every second, {n}", cron_expression="* * * * * *", handler_name=NOOP))
    began = monotonic()
    late: list[float] = []
    while not late or monotonic() - began < seconds:
        if monotonic() - began > seconds + _PATIENCE_SECONDS:
            raise BenchmarkError("No cron job has ticked: the planners of the benchmark do not get on.")
        sleep(_LOOK_SECONDS)
        workers.require_alive()
        tell(min(1.0, (monotonic() - began) / seconds))
        if monotonic() - began >= seconds:
            late = benching.lateness(session)
    return Cron(CRON_JOBS, Percentiles.of(late), benching.ticks_not_run(session))


def _until_nothing_waits(session: SyncSession, workers: Fleet, jobs: int, tell: Tell) -> None:
    left, since, pause = jobs, monotonic(), _LOOK_SECONDS
    while left:
        sleep(pause)
        workers.require_alive()
        began = monotonic()
        found = benching.waiting(session) or benching.drained(session, NOOP).unfinished
        pause = max(_LOOK_SECONDS, (monotonic() - began) * _LOOK_SHARE)
        if found < left:
            since = monotonic()
        elif monotonic() - since > _PATIENCE_SECONDS:
            raise BenchmarkError(f"{left} of {jobs} executions wait, and none has ended for {_PATIENCE_SECONDS:g} s.")
        left = found
        tell(1 - min(left, jobs) / jobs)


def _picked_up_after(client: Client) -> float:
    sleep(_REST_SECONDS)
    id_ = client.enqueue(PICKED_UP, {}, notify_done=True)
    committed = monotonic()
    ended = client.wait(id_, timeout=_PATIENCE_SECONDS)
    if not isinstance(ended.result, float):
        raise BenchmarkError(f"An execution of the benchmark is {ended.status}: {ended.error}")
    return max(0.0, ended.result - committed)


def _median_of(act: Callable[[], float]) -> float:
    act()
    began, found = monotonic(), list[float]()
    while len(found) < _YARDSTICK_TIMES and (not found or monotonic() - began < _YARDSTICK_SECONDS):
        found.append(act())
    return median(found)


def _numbered(count: int, tell: Tell) -> Iterator[dict[str, Any]]:
    for n in range(1, count + 1):
        if n % _TOLD_EACH == 0:
            tell(n / count)
        yield {"n": n}
