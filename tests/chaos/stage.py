"""Where it happens: a server, two databases on it, and processes that are started again whenever they end."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self
from uuid import UUID

import psycopg

from scheduler.embedded.protocol import Endpoint
from scheduler.store.migration import migrate
from scheduler.testing.fault_proxy import FaultProxy
from scheduler.testing.postgres import ThrowawayPostgres
from tests.faults import audit
from tests.faults.harness import Event as LogEvent
from tests.faults.harness import Sabotage, SchedulerProcess, launched

DURABLE = {"synchronous_commit": "on", "full_page_writes": "on"}
SETTINGS: Mapping[str, object] = {"WORKER__SHUTDOWN_TIMEOUT_SECONDS": 2}
QUICK = {"services.resolver.ROUND_SECONDS": 0.5}
POLL_SECONDS = 0.05
START_SECONDS = 300.0
END_SECONDS = 20.0
ACTIVE = "SELECT count(*) FROM job_workers WHERE status = 'ACTIVE'"
INCARNATIONS = "SELECT id FROM job_workers WHERE status = 'ACTIVE' AND pid = ANY(%s)"


class Slot:
    """A process that is always there: whenever it ends, another one starts in its place."""

    def __init__(
        self, name: str, start: Callable[["Slot"], SchedulerProcess], proxy: FaultProxy, processes: int
    ) -> None:
        """`processes`: how many it looks after; 0: none, it works itself."""
        self.name, self.proxy, self.processes = name, proxy, processes
        self.clock = 0.0
        self.failpoint = ""
        """Where its next process ends, once."""
        self.busy = Lock()
        """Held by the fault that is being done to it."""
        self.former: list[SchedulerProcess] = []
        self._start = start
        self.process = start(self)

    @property
    def supervised(self) -> bool:
        return self.processes > 0

    def tend(self) -> None:
        if not self.process.is_up:
            self.former.append(self.process)
            self.process = self._start(self)
            self.failpoint = ""

    def workers(self) -> list[int]:
        """The numbers of the processes that claim."""
        if not self.supervised:
            return [self.process.pid]
        return [pid for pid in self.process.workers() if is_alive(pid)]

    def all(self) -> list[SchedulerProcess]:
        return [*self.former, self.process]


class Stage:
    """The whole of it. What is done to it is said in `faults`."""

    def __init__(self, folder: Path, *, workers: int, sabotage: Sequence[Sabotage] = ()) -> None:
        """`workers`: how many `scheduler run`, of which the first has two worker processes and the others none."""
        self.folder, self._workers, self._sabotage = folder, workers, sabotage
        self.project = folder / "project"
        self._resources = ExitStack()
        self._stop = Event()
        self._lock = Lock()
        self._keeper = Thread(target=self._keep, daemon=True)
        self.slots: list[Slot] = []

    def __enter__(self) -> Self:
        with self._resources:
            self._open()
            self._resources = self._resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def _open(self) -> None:
        server = self._resources.enter_context(ThrowawayPostgres(self.folder / "postgres", settings=DURABLE))
        self.url = self._resources.enter_context(server.fresh_database())
        self.business_url = self._resources.enter_context(server.fresh_database())
        migrate(self.url)
        with self.connected() as connection:
            audit.install(connection)
        (self.project / "handlers").mkdir(parents=True)
        shutil.copy(Path(__file__).parent / "jobs.py", self.project / "handlers" / "jobs.py")

    def raise_curtain(self) -> None:
        """Start the processes, and somebody who starts them again. Returns when each has its lease."""
        proxies = [self._resources.enter_context(FaultProxy(self.url)) for _ in range(self._workers)]
        self._resources.callback(self._end)  # before the proxies do: who ends has something to say to the server
        for number, proxy in enumerate(proxies):
            self.slots.append(Slot(f"{number}", self._launch, proxy, 0 if number else 2))
        self._keeper.start()
        up = self.until(lambda: self.ask(ACTIVE) > self._workers, seconds=START_SECONDS)
        assert up, "the workers have not started"

    def _launch(self, slot: Slot) -> SchedulerProcess:
        settings: dict[str, Any] = {
            **SETTINGS,
            "WORKER__PROCESSES": slot.processes,
            "DATABASES__BUSINESS__URL": self.business_url,
        }
        if slot.failpoint:
            settings["FAILPOINTS"] = slot.failpoint
        return launched(
            self.project, slot.proxy.url, "run", constants=QUICK, clock=slot.clock, sabotage=self._sabotage, **settings
        )

    def _keep(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            for slot in self.slots:
                slot.tend()

    def _end(self) -> None:
        """SIGTERM for all, and SIGKILL for who does not heed it."""
        self._stop.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for slot in self.slots:
            if slot.process.is_up:
                slot.process.send(signal.SIGTERM)
        for slot in self.slots:
            with suppress(AssertionError):
                slot.process.exit_status(within=END_SECONDS)
            for process in slot.all():
                process.close()

    # Who it is done to

    @contextmanager
    def borrowed(self, pick: float, fits: Callable[[Slot], bool]) -> Iterator[Slot]:
        """A slot to which nothing else is being done, as soon as there is one. One of all is always left alone."""
        slot = self._borrow(pick, fits)
        try:
            yield slot
        finally:
            slot.busy.release()

    def _borrow(self, pick: float, fits: Callable[[Slot], bool]) -> Slot:
        while True:
            with self._lock:
                free = [slot for slot in self.slots if not slot.busy.locked()]
                fit = [slot for slot in free if fits(slot) and slot.process.is_up]
                if fit and len(free) > 1:
                    slot = fit[int(pick * len(fit))]
                    slot.busy.acquire()
                    return slot
            time.sleep(POLL_SECONDS)

    # What it is seen by

    @contextmanager
    def connected(self, url: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(url or self.url, autocommit=True, application_name="chaos") as connection:
            yield connection

    def ask(self, sql: str, *values: object) -> Any:
        """The first column of the first row. Raises psycopg.OperationalError while the server is away."""
        with self.connected() as connection:
            row = connection.execute(sql.encode(), values).fetchone()
        return row[0] if row else None

    def until(self, holds: Callable[[], Any], *, seconds: float = 60.0) -> bool:
        """Ask until it holds, over outages of the server. Whether it did in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                if holds():
                    return True
            time.sleep(POLL_SECONDS)
        return False

    def incarnations(self, pids: Sequence[int], *, seconds: float = 60.0) -> list[UUID]:
        """The workers that these processes are, as soon as they are any. Raises AssertionError when they never are."""
        found: list[UUID] = []

        def look() -> bool:
            with self.connected() as connection:
                found.extend(row[0] for row in connection.execute(INCARNATIONS, [list(pids)]).fetchall())
            return bool(found)

        assert self.until(look, seconds=seconds), f"{pids} are no workers"
        return found

    def crash_server(self) -> None:
        """What `pg_ctl restart -m immediate` does first; whoever looks after the server starts it again."""
        endpoint = Endpoint.read(self.folder / "postgres")
        if endpoint is not None:
            os.kill(endpoint.postmaster, signal.SIGQUIT)

    def events(self, *names: str) -> list[LogEvent]:
        """What all processes have logged."""
        return [event for slot in self.slots for process in slot.all() for event in process.events(*names)]

    def exits(self) -> Counter[int]:
        """How often a process ended, by its exit status; negative: the signal."""
        return Counter(process.exit_status() for slot in self.slots for process in slot.former)

    def restart(self, slot: Slot, *, seconds: float = END_SECONDS) -> SchedulerProcess:
        """SIGTERM. Returns the one that has come in its place and works."""
        old = slot.process
        old.send(signal.SIGTERM)
        self.until(lambda: slot.process is not old, seconds=seconds)
        return slot.process

    def save_logs(self, folder: Path) -> None:
        for slot in self.slots:
            text = "".join(f"--- process {process.pid}\n{process.log}" for process in slot.all())
            (folder / f"process-{slot.name}.log").write_text(text)


def is_alive(pid: int) -> bool:
    """Whether a process of this number has not ended; one that ended and was not waited for has no memory."""
    try:
        return Path(f"/proc/{pid}/statm").read_text().split()[0] != "0"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """The processes below it, whichever of its threads has started them."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (thread / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found
