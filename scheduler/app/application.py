"""Application: settings become sessions, services and loops. Nothing else knows all of them."""

import asyncio
import gc
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from signal import SIGTERM, raise_signal

from scheduler.app.alerts import alert_loop
from scheduler.app.atomicity import require_atomic
from scheduler.app.messaging import chosen, consumers_of, places, require_any
from scheduler.app.options import registration, worker_options
from scheduler.app.project import Project
from scheduler.app.retention import in_words, rules_of
from scheduler.app.setup import setup_of
from scheduler.app.telling import Telling
from scheduler.database import DatabaseRegistry
from scheduler.database.recovery import SECONDS as RECOVERY_SECONDS
from scheduler.handlers import HandlerRegistry
from scheduler.isolation import Isolation
from scheduler.isolation.parents import die_with_parent
from scheduler.isolation.process import ProcessIsolation
from scheduler.isolation.task import TaskIsolation
from scheduler.isolation.thread import ThreadIsolation
from scheduler.messages import log
from scheduler.queues.registry import QueueRegistry
from scheduler.services.blocked import BlockedEnd
from scheduler.services.health import PULSE, Vitals
from scheduler.services.health_server import serving
from scheduler.services.heartbeat import Heartbeat
from scheduler.services.lifter import ROUND_SECONDS as LIFT_SECONDS
from scheduler.services.lifter import Lifter
from scheduler.services.listener import Listener
from scheduler.services.loop import Loop
from scheduler.services.measurer import INTERVAL_SECONDS as MEASURE_SECONDS
from scheduler.services.measurer import Measurer
from scheduler.services.options import ConsumerOptions
from scheduler.services.planner import POLL_SECONDS, Planner
from scheduler.services.pruner import SLICE_SECONDS, Pruner
from scheduler.services.reports import INTERVAL_SECONDS, Reports
from scheduler.services.rescuer import ROUND_SECONDS as RESCUE_SECONDS
from scheduler.services.rescuer import Rescuer
from scheduler.services.resolver import LONGEST_ROUND_SECONDS, Resolver
from scheduler.services.stopping import LAST_WORDS_SECONDS, Stopping
from scheduler.services.wakeups import Wakeups
from scheduler.services.worker import IDLE_SECONDS, PULSE_SECONDS, Worker
from scheduler.store.executions import Executions
from scheduler.store.notifications import Notifications
from scheduler.store.session import Session, SyncSession
from scheduler.store.workers import OwnWorker, Workers

PARTS = ("worker", "planner", "consumer")
YOUNGEST = 10_000
"""After how many new objects Python looks for cycles among them."""


@dataclass(frozen=True, slots=True)
class Started:
    """What `run` tells when everything is composed and before anything runs."""

    project: Project
    handlers: HandlerRegistry
    parts: Sequence[str]
    consumers: Sequence[ConsumerOptions]


def _spare_the_collector() -> None:
    """What is loaded by now stays: collections would go through all of it, many times a second.

    And a job makes ten objects, of which none is part of a cycle: after each thousandth is often enough.
    """
    gc.freeze()
    youngest, *older = gc.get_threshold()
    if youngest:
        gc.set_threshold(max(youngest, YOUNGEST), *older)


class Application:
    """The services of one process."""

    def __init__(
        self,
        project: Project,
        *,
        parts: Iterable[str] = PARTS,
        consumers: Collection[str] = (),
        reports_to: int | None = None,
    ) -> None:
        """`consumers` by name: none for those that start by themselves. `reports_to`: where the supervisor listens.

        Raises ConfigurationError and SchemaError; connects to nothing that would have to be closed.
        """
        self._reports_to = reports_to
        if reports_to is not None:
            die_with_parent(os.getppid(), SIGTERM)
        self.project, self.parts = project, tuple(parts)
        self.settings = project.settings.worker
        reads = "consumer" in self.parts
        names = chosen(project.settings.consumers, consumers) if reads else []
        if self.parts == ("consumer",):
            require_any(names)
        self.handlers = project.handlers() if "worker" in self.parts or names else HandlerRegistry()
        self.wakeups = Wakeups()
        self.vitals = Vitals()
        self._retiring = asyncio.Event()
        self._sessions: list[Session] = []
        self.consumers = consumers_of(project.settings, names, self.handlers, self._session("consumer"), self.wakeups)
        QueueRegistry.configure(places(project.settings), reads=bool(names))
        DatabaseRegistry.configure(project.settings)
        require_atomic(self.handlers, project.settings.worker.databases)

    async def run(self, *, until_idle: bool = False, on_start: Callable[[Started], None] = lambda _: None) -> int:
        """Run until a signal, or until nothing is due. The exit code: 1 if work had to be abandoned, else 0."""
        on_start(Started(self.project, self.handlers, self.parts, self.consumers.options))
        if "worker" in self.parts and any(spec.run_in == "process" for spec in self.handlers):
            await self._processes.warm_up()
        heartbeat = self._heartbeat()

        def last_words() -> None:
            self._name_abandoned(self.worker.slots.left())
            heartbeat.stop(timeout=LAST_WORDS_SECONDS)

        seconds, supervised = self.settings.shutdown_timeout_seconds, self._reports_to is not None
        services = self._loops(heartbeat)
        self.vitals.watch([*services, heartbeat, self.worker.slots], has_begun=heartbeat.has_begun)
        with (
            self._health(),
            Stopping(seconds, self.worker.hurry, last_words, supervised=supervised) as stopping,
        ):
            _spare_the_collector()
            heartbeat.start()
            loops = [asyncio.create_task(loop.forever(), name=loop.name) for loop in services]
            if "worker" in self.parts:
                log("worker.started", concurrency=self.settings.pool_size)
            elif "planner" in self.parts:
                log("planner.started")
            try:
                await self._until(stopping, until_idle, heartbeat)
                heartbeat.drain()
                _, abandoned = await asyncio.gather(self.consumers.stop(), self.worker.drain(seconds))
            finally:
                for task in loops:
                    task.cancel()
                await asyncio.gather(*loops, return_exceptions=True)
            self._name_abandoned(abandoned)
            if self._reports is not None:
                self._reports.last()
            await asyncio.to_thread(heartbeat.stop, timeout=0.5)
            await self._close()
        slots = self.worker.slots
        log("worker.stopped", succeeded=slots.succeeded, failed=slots.failed, handed_back=len(slots.handed_back))
        return 1 if abandoned else 0

    def _health(self) -> AbstractContextManager[None]:
        """Whoever is supervised tells its supervisor, which answers for all."""
        port = self.settings.health_port if self._reports_to is None else None
        address, vitals = self.settings.health_address, self.vitals
        return serving(address, port, health=vitals.health, live=vitals.life, metrics=self.telling.metrics)

    @staticmethod
    def _name_abandoned(ids: Sequence[int]) -> None:
        if ids:
            log("worker.abandoned", ids=", ".join(map(str, ids)))

    @cached_property
    def worker(self) -> Worker:
        claims, upkeep = self._session("claim"), self._session("upkeep")
        works, supervised = "worker" in self.parts, self._reports_to is not None
        return Worker(
            worker_options(self.settings, works=works, supervised=supervised),
            claims=Executions(claims),
            settles=Executions(self._session("settle")),
            upkeep=Executions(upkeep),
            workers=Workers(claims),
            handlers=self.handlers,
            isolations=self._isolations,
            wakeups=self.wakeups,
            policies=json.dumps(self.handlers.policies_json()),
            claimed=self.consumers.claimed,
        )

    @cached_property
    def telling(self) -> Telling:
        measures = self.settings.health_port is not None
        always = measures and self._reports_to is None
        measurer = Measurer(self._session("measurer"), self.worker.meter, always=always) if measures else None
        return Telling(self.worker, self.vitals, measurer)

    @cached_property
    def _reports(self) -> Reports | None:
        """To the supervisor, if there is one."""
        if self._reports_to is None:
            return None
        return Reports(
            self._reports_to,
            self.telling.report,
            retire=self._retiring.set,
            measure=self.telling.measure,
            orphaned=lambda: raise_signal(SIGTERM),
        )

    @cached_property
    def planner(self) -> Planner:
        return Planner(self._session("planner"), self.wakeups)

    @cached_property
    def _isolations(self) -> Mapping[str, Isolation]:
        threads = ThreadIsolation(self.settings.pool_size)
        return {"task": TaskIsolation(), "thread": threads, "process": self._processes}

    @cached_property
    def _processes(self) -> ProcessIsolation:
        return ProcessIsolation(setup_of(self.project), DatabaseRegistry.end_sessions, keep=self.settings.pool_size)

    def _loops(self, heartbeat: Heartbeat) -> list[Loop]:
        """Each with the longest that it sleeps, from which follows when its last success is too old."""
        worker, options = self.worker, self.settings
        notifications = Notifications(self.project.database.direct_conninfo, self.project.schema)
        listener = Listener(notifications, self.wakeups)
        rescuer = Rescuer(self._session("rescuer"), self.wakeups, steady_seconds=options.heartbeat_interval_seconds)
        loops = [
            Loop(PULSE, worker.pulse_round, sleeps=PULSE_SECONDS),
            Loop("lease", heartbeat.watch_round, sleeps=heartbeat.watch_seconds),
            Loop("rescuer", rescuer.round, sleeps=RESCUE_SECONDS),
            Loop("resolver", self._resolver().round, sleeps=LONGEST_ROUND_SECONDS + RECOVERY_SECONDS),
            Loop("pruner", self._pruner().round, sleeps=SLICE_SECONDS),
            Loop("lifter", Lifter(self._session("lifter")).round, sleeps=LIFT_SECONDS),
            Loop("listener", listener.round, sleeps=listener.sleeps),
        ]
        if "worker" in self.parts:
            loops += [
                Loop("claim", worker.claim_round, sleeps=max(options.poll_interval_seconds, IDLE_SECONDS)),
                Loop("settle", worker.settle_round, sleeps=IDLE_SECONDS),
                Loop("watch", worker.watch_round, sleeps=PULSE_SECONDS),
            ]
        loops += self.consumers.loops()
        if "planner" in self.parts:
            loops.append(Loop("planner", self.planner.round, sleeps=POLL_SECONDS))
        if self.project.settings.alerts.watches:
            loops.append(alert_loop(self.project.settings, self._session("alerts")))
        if self.telling.measurer is not None:
            loops.append(Loop("measurer", self.telling.measurer.round, sleeps=MEASURE_SECONDS))
        if self._reports is not None:
            loops.append(Loop("reports", self._reports.round, sleeps=INTERVAL_SECONDS))
        return loops

    def _pruner(self) -> Pruner:
        retention = self.project.settings.retention
        rules = rules_of(retention)
        log("pruner.rules", rules=in_words(rules))
        return Pruner(self._session("pruner"), self._session("turn"), rules, interval=retention.interval_seconds)

    def _resolver(self) -> Resolver:
        job = DatabaseRegistry.get(self.settings.database)
        return Resolver(job, [DatabaseRegistry.get(name) for name in DatabaseRegistry.names()])

    def _heartbeat(self) -> Heartbeat:
        own = OwnWorker(SyncSession(self.project.database.direct_conninfo, self.project.schema, "scheduler heartbeat"))
        return Heartbeat(
            own,
            registration(self.worker.options),
            self.worker,
            interval=self.settings.heartbeat_interval_seconds,
            loops=self.vitals.ages,
            end_blocked=BlockedEnd(own, self.worker) if self._reports_to is not None else None,
        )

    def _session(self, purpose: str) -> Session:
        session = Session(self.project.database.conninfo, self.project.schema, f"scheduler {purpose}")
        self._sessions.append(session)
        return session

    async def _until(self, stopping: Stopping, until_idle: bool, heartbeat: Heartbeat) -> None:
        waits: list[asyncio.Task[object]] = [
            asyncio.create_task(stopping.asked.wait()),
            asyncio.create_task(self._retired(heartbeat)),
        ]
        if until_idle:
            waits.append(asyncio.create_task(self._nothing_due()))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _retired(self, heartbeat: Heartbeat) -> None:
        """Wait until the supervisor has asked for it and nothing runs here any more."""
        await self._retiring.wait()
        heartbeat.drain()
        await self.consumers.stop()
        await self.worker.retire()

    async def _nothing_due(self) -> None:
        """Wait until nothing is left to read or to plan and, after that, a full look of the worker finds nothing."""
        while True:
            if "worker" in self.parts:
                await self.worker.found_nothing()
            if "planner" in self.parts:
                await self.planner.looked()
            if await self.consumers.rest() and ("worker" not in self.parts or await self.worker.found_nothing()):
                return

    async def _close(self) -> None:
        for isolation in self._isolations.values():
            await isolation.close(0)
        for session in self._sessions:
            with suppress(Exception):  # the process ends: whatever is wrong with it now is over
                await session.close()
        await DatabaseRegistry.dispose()
