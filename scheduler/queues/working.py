"""One run of a queue worker, from its start to its end: receive → handle → settle, on the background loop.

Three tasks share what is held. One receives as much as there is room for; one acks and hands back what the handler has
ended with, many at a time; one extends what is held, and beats. A broker that is away holds them up, and ends none.
"""

import asyncio
from asyncio import Event, TaskGroup
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from typing import Any

from scheduler.clock import monotonic
from scheduler.errors import MalformedMessageError, SchedulerError
from scheduler.messages import log
from scheduler.queues import background
from scheduler.queues.hands import Handler, Hands, hands
from scheduler.queues.held import Ack, Back, Dead, End, Fate, Held, describe, fate
from scheduler.queues.nouns import QueueItem, WorkerConfig, WorkerState
from scheduler.queues.persevering import persevere
from scheduler.queues.protocol import Delivery
from scheduler.queues.standalone import SPARE_DELIVERIES, Driver, StandaloneQueue, read
from scheduler.queues.tally import Tally

_AHEAD_SECONDS = 0.1
_BEAT_SECONDS = 5.0
_LAST_LOOK_SECONDS = 0.1
_HAND_BACK_SECONDS = 5.0
_QUICKEST = 1e-6


class Working:
    """`unfinished` and `failure` tell, after `ended`, what had to be handed back, and what stopped it."""

    def __init__(self, queue: StandaloneQueue, config: WorkerConfig, handler: Handler, tally: Tally) -> None:
        self.config = config
        self.state = WorkerState.RUNNING
        self.ended = Event()
        self.unfinished: tuple[QueueItem, ...] = ()
        self.failure: BaseException | None = None
        self._queue = queue
        self._tally = tally
        self._loop = background.home().loop
        self._hands: Hands = hands(handler, config.concurrency, config.name, self._report)
        self._held: set[Held] = set()
        self._ends: deque[End] = deque()
        self._collecting = False
        self._fates: list[tuple[Held, Fate]] = []
        self._seconds = inf
        self._changed = Event()
        self._settling = Event()
        self._stopping = Event()
        self._draining = False
        self._deadline = inf

    # Asked from other threads

    def is_own_thread(self) -> bool:
        return self._hands.is_own_thread()

    def drain(self) -> None:
        """Stop when the queue is found empty."""
        self._loop.call_soon_threadsafe(self._drain)

    def stop(self, timeout: float) -> None:
        """Take nothing new, finish what is being handled within `timeout` seconds, and hand back the rest."""
        self._loop.call_soon_threadsafe(self._stop, monotonic() + timeout)

    def leave(self) -> Future[Any]:
        async def gone() -> None:
            self._stop(monotonic())
            await self.ended.wait()

        return background.spawn(gone())

    # On the background loop

    async def run(self, driver: Driver) -> None:
        """Until stopped or drained; doesn't raise."""
        name, queue = self.config.name, self._queue
        log("standalone.worker_started", name=name, queue=queue.name, concurrency=self.config.concurrency)
        queue.workers.add(self)
        background.home().running.add(self)
        try:
            await self._work(driver)
        except ExceptionGroup as faults:  # of its own: whatever a broker or a handler raises is survived
            self.failure = faults.exceptions[0]
        finally:
            self._hands.close()
            queue.workers.discard(self)
            background.home().running.discard(self)
            self.state = WorkerState.STOPPED if self.failure is None else WorkerState.FAILED
            self.ended.set()
        done = self._tally
        unfinished = len(self.unfinished)
        log("standalone.worker_stopped", name=name, processed=done.processed, failed=done.failed, unfinished=unfinished)

    async def _work(self, driver: Driver) -> None:
        async with TaskGroup() as group:
            keeping = group.create_task(self._keep(driver))
            settling = group.create_task(self._settle_all(driver))
            await self._until_received(group.create_task(self._receive_all(driver)))
            await self._finish(driver)
            keeping.cancel()
            settling.cancel()

    def _stop(self, deadline: float) -> None:
        if self.ended.is_set():
            return
        self.state = WorkerState.STOPPING
        self._deadline = min(self._deadline, deadline)
        self._stopping.set()
        self._changed.set()

    def _drain(self) -> None:
        self._draining = True

    async def _until_received(self, receiving: "asyncio.Task[None]") -> None:
        """Until nothing more is received; a look that is under way may have found something, and is waited for."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not receiving.done():
            look = max(self._deadline - monotonic(), self.config.poll_timeout)
            await asyncio.wait({receiving}, timeout=look)
            receiving.cancel()
            await asyncio.wait({receiving}, timeout=_HAND_BACK_SECONDS)  # or it would take what is handed back

    async def _finish(self, driver: Driver) -> None:
        """Wait for what is being handled; hand back what isn't yet, and what is still when the time is over."""
        self._settle(*((held, Back(0.0)) for held in self._hands.take_back()))
        while self._held and (left := self._deadline - monotonic()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if left == inf else left):
                    await self._changed.wait()
        left_over, self._held = self._held, set()
        self.unfinished = tuple(held.item for held in left_over)
        with suppress(TimeoutError):
            async with asyncio.timeout(_HAND_BACK_SECONDS):
                for held in left_over:
                    with suppress(SchedulerError):  # it comes back by itself, only later
                        await driver.nack(held.delivery)

    async def _receive_all(self, driver: Driver) -> None:
        name = f"queue worker {self.config.name}"
        with suppress(SchedulerError):  # what ails it is told by the first look for messages
            for caution in await driver.health():
                log("standalone.caution", queue=self._queue.name, caution=caution)
        await persevere(name, lambda: self._receive(driver), hurry=self._stopping, tell=self._broke)

    async def _receive(self, driver: Driver) -> bool:
        """Take as much as there is room for; whether there is more to come."""
        if self._stopping.is_set():
            return False
        room = self._room()
        if room <= 0:
            self._changed.clear()
            await self._changed.wait()
            return True
        wait = min(self.config.poll_timeout, _LAST_LOOK_SECONDS if self._draining else inf)
        found = await driver.receive(room, wait=wait)
        self._tally.beat()
        refused = [(each, reason) for each in found if (reason := self._accept(each))]
        for delivery, reason in refused:
            log("standalone.dead", id=delivery.id, queue=self._queue.name, error=reason)
            await driver.nack(delivery, dead=reason)
        return bool(found or self._held or not self._draining or not await self._is_empty(driver))

    def _accept(self, delivery: Delivery) -> str | None:
        """Hand it to the handler, or say why not."""
        if delivery.deliveries > 1 + self.config.max_retries + SPARE_DELIVERIES:
            return f"Delivered {delivery.deliveries - 1} times, and each time its worker died or handed it back."
        try:
            held = Held(delivery, read(delivery))
        except MalformedMessageError as error:
            return str(error)
        self._held.add(held)
        self._hands.give(held)
        return None

    async def _is_empty(self, driver: Driver) -> bool:
        stats = await driver.stats()
        return not stats.waiting and not stats.delayed

    def _room(self) -> int:
        """For so many more; what only has to be settled counts less, but not for nothing while the broker is away."""
        most = self.config.concurrency + self.config.prefetch
        ahead = min(self.config.prefetch, int(_AHEAD_SECONDS * self.config.concurrency / self._seconds))
        unhandled = len(self._held) - len(self._fates)
        return min(self.config.concurrency + ahead - unhandled, 2 * most - len(self._held))

    def _report(self, end: End) -> None:
        """From the handler's thread; wakes the loop once for many."""
        self._ends.append(end)
        if not self._collecting:
            self._collecting = True
            with suppress(RuntimeError):  # the loop is closed: the interpreter ends
                self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        self._collecting = False
        while self._ends:
            end = self._ends.popleft()
            if end.held in self._held:  # else it was handed back when the time was over
                self._judge(end)

    def _judge(self, end: End) -> None:
        seconds = max(end.seconds, _QUICKEST)
        self._seconds = seconds if self._seconds == inf else 0.8 * self._seconds + 0.2 * seconds
        decided = fate(end.held.item.attempts, end.error, self.config)
        if end.error is None:
            self._tally.processed += 1
        else:
            self._failed(end.held.item, end.error, decided)
        self._settle((end.held, decided))

    def _failed(self, item: QueueItem, error: BaseException, decided: Fate) -> None:
        self._tally.failed += 1
        self._tally.last_error = error
        if isinstance(decided, Back):
            log(
                "standalone.retrying",
                id=item.id,
                queue=self._queue.name,
                attempt=item.attempts,
                seconds=decided.delay,
                error=describe(error),
            )
        else:
            log("standalone.dead", id=item.id, queue=self._queue.name, error=describe(error))
        if self.config.stop_on_error and self.failure is None:
            self.failure = error
            self._stop(monotonic() + self.config.shutdown_timeout)

    def _settle(self, *decided: tuple[Held, Fate]) -> None:
        self._fates.extend(decided)
        self._settling.set()
        self._changed.set()

    async def _settle_all(self, driver: Driver) -> None:
        name = f"queue worker {self.config.name}, settling"
        await persevere(name, lambda: self._settle_some(driver), tell=self._broke)

    async def _settle_some(self, driver: Driver) -> bool:
        """Carry out what was decided since the last time: all acks at once. What was done isn't done again."""
        if not self._fates:
            self._settling.clear()
            await self._settling.wait()
        done = [held for held, decided in self._fates if isinstance(decided, Ack)]
        if done:
            await driver.ack([held.delivery for held in done])
            self._let_go(done)
        for each in [each for each in self._fates if not isinstance(each[1], Ack)]:
            try:
                await _hand_back(driver, *each)
            except Exception:
                self._fates = [*(other for other in self._fates if other is not each), each]  # it holds up no other
                raise
            self._let_go([each[0]])
        return True

    def _let_go(self, settled: list[Held]) -> None:
        self._held.difference_update(settled)
        self._fates = [each for each in self._fates if each[0] in self._held]
        self._changed.set()

    async def _keep(self, driver: Driver) -> None:
        name = f"queue worker {self.config.name}, extending"
        await persevere(name, lambda: self._extend(driver), tell=self._broke)

    async def _extend(self, driver: Driver) -> bool:
        """Make what is held ours for longer, and beat as long as that goes on."""
        if self._held:
            await driver.extend([held.delivery for held in self._held])
        due = monotonic() + self._queue.config.visibility_seconds / 3
        while (left := due - monotonic()) > 0:
            self._tally.beat()
            await asyncio.sleep(min(_BEAT_SECONDS, left))
        return True

    def _broke(self, error: Exception) -> None:
        self._tally.last_error = error
        self._tally.beat()


async def _hand_back(driver: Driver, held: Held, decided: Fate) -> None:
    if isinstance(decided, Dead):
        await driver.nack(held.delivery, dead=decided.reason)
    elif isinstance(decided, Back):
        await driver.nack(held.delivery, delay=decided.delay)
