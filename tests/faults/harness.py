"""A project, its database, and real `scheduler run` processes in it; every wait is bounded, every process is ended."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from scheduler.store.statements import statements
from tests.faults import audit

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PATIENCE_SECONDS = 40.0
LEASE_SECONDS = 3.0
SETTINGS = {
    "WORKER__HEARTBEAT_INTERVAL_SECONDS": "1",
    "WORKER__LEASE_SECONDS": str(LEASE_SECONDS),
    "LOG__FORMAT": "json",
    "LOG__LEVEL": "debug",
    "WORKER__PROCESSES": "0",  # the worker is the process that is started
}
_POLL_SECONDS = 0.02
_COUNTS = """
SELECT jsonb_object_agg(status, n)
FROM (SELECT status, count(*) AS n FROM job_executions WHERE id = ANY(%s) GROUP BY status) AS each
"""

Sabotage = tuple[str, str, str]
"""A statement's name, a part of it, and what stands there instead."""
Event = Mapping[str, Any]
"""A line of the log: its event, message and values."""


def words_of(name: str) -> str:
    """What a statement can be recognised by on its way to the server: its longest part between parameters."""
    parts = re.split(r"%\(\w+\)s", statements("public")[name].decode())
    return max(parts, key=len)


class SchedulerProcess:
    """One `scheduler run`, and what it says."""

    def __init__(self, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self.output: list[str] = []
        self._events: list[Event] = []
        self._news = Condition()
        self._fell_silent = False
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_up(self) -> bool:
        return self._process.poll() is None

    def events(self, *names: str) -> list[Event]:
        """The log lines of these events, so far."""
        with self._news:
            return [event for event in self._events if event["event"] in names]

    def said(self, name: str, *, count: int = 1, seconds: float = PATIENCE_SECONDS) -> list[Event]:
        """Wait until it has logged the event so often. Returns those lines."""
        with self._news:
            self._news.wait_for(lambda: self._fell_silent or len(self.events(name)) >= count, seconds)
            events = self.events(name)
        assert len(events) >= count, f"{name} was not logged {count} times within {seconds:g} s; the log:\n{self.log}"
        return events

    def recovered(self, *loops: str) -> None:
        """Wait until it has said of each of these loops that it works again."""
        with self._news:
            self._news.wait_for(lambda: self._fell_silent or self._has_recovered(loops), PATIENCE_SECONDS)
            assert self._has_recovered(loops), f"not all of {loops} have recovered; the log:\n{self.log}"

    def _has_recovered(self, loops: Sequence[str]) -> bool:
        return {event["loop"] for event in self.events("loop.recovered")}.issuperset(loops)

    @property
    def log(self) -> str:
        with self._news:
            return "".join(self.output)

    def workers(self, count: int = 0) -> list[int]:
        """The numbers of the processes that it has started as a supervisor, at least so many."""
        return [event["pid"] for event in self.said("supervisor.started_worker", count=count)]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_status(self, *, within: float = PATIENCE_SECONDS) -> int:
        """Wait for its end. A process that was killed has the negative number of the signal."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {within:g} s; its log:\n{self.log}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        print(f"\n--- log of process {self.pid}, exit status {self._process.returncode} ---\n{self.log}")

    def close(self) -> None:
        """End it and the workers that it has started, at once."""
        if self.is_up:
            self._process.kill()  # ends a stopped process too
        self._process.wait()
        for pid in self.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode(errors="replace")
            with self._news:
                self.output.append(text)
                if text.startswith("{"):
                    self._events.append(json.loads(text))
                self._news.notify_all()
        with self._news:
            self._fell_silent = True
            self._news.notify_all()


def launched(
    folder: Path,
    url: str,
    *arguments: str,
    sabotage: Sequence[Sabotage] = (),
    constants: Mapping[str, float] | None = None,
    clock: float = 0,
    freezable: Sequence[str] = (),
    **settings: object,
) -> SchedulerProcess:
    """A `scheduler` command in a project's folder; `settings` are variables without their SCHEDULER_.

    `constants` are set in it and in the workers that it starts: dotted name → value. Its clock is wrong by
    `clock` seconds. Loops that are `freezable` can be frozen, see `frozen`.
    """
    given = SETTINGS | {name: str(value) for name, value in settings.items()}
    env = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    env |= {f"SCHEDULER_{name}": value for name, value in given.items()}
    env |= {"SCHEDULER_DATABASE_URL": url, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
    spoilt = [json.dumps(sabotage), json.dumps(constants or {}), str(clock), json.dumps(freezable)]
    is_sound = not (sabotage or constants or clock or freezable)
    program = ["-m", "scheduler"] if is_sound else [HERE / "sabotaged.py", *spoilt]
    return SchedulerProcess([sys.executable, *program, *arguments], cwd=folder, env=env)


class Scene:
    """A project folder with handlers, and a migrated database under audit."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self._resources = ExitStack()
        self._connection: psycopg.Connection[Any] | None = None
        (folder / "handlers").mkdir(parents=True)
        shutil.copy(HERE / "jobs.py", folder / "handlers" / "jobs.py")
        audit.install(self.connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()
        if self._connection is not None:
            self._connection.close()

    # Processes

    def add(self, handlers: str) -> None:
        """Give the project a module of this folder as handlers, too."""
        shutil.copy(HERE / handlers, self.folder / "handlers" / handlers)

    def start(self, *arguments: str, only: str | None = None, **options: Any) -> SchedulerProcess:
        """`scheduler run` in the project, or `only` a part; `options` are those of `launched`."""
        part = ["--only", only] if only else []
        return self.command("run", *part, *arguments, **options)

    def command(self, *arguments: str, url: str | None = None, **options: Any) -> SchedulerProcess:
        """Any other `scheduler` command, with the same settings."""
        return self._resources.enter_context(launched(self.folder, url or self.url, *arguments, **options))

    def worker(self, **options: Any) -> SchedulerProcess:
        """The same, once it has its lease."""
        process = self.start(**options)
        process.said("worker.started")
        self.until_true("SELECT count(*) > 0 FROM job_workers WHERE pid = %s AND status = 'ACTIVE'", process.pid)
        return process

    def planner(self, **options: Any) -> SchedulerProcess:
        """A process that only plans, once it does."""
        process = self.start(only="planner", **options)
        process.said("planner.started")
        return process

    def supervised(self, processes: int | str = 1, **options: Any) -> SchedulerProcess:
        """`scheduler run` with worker processes, once the least of them have their leases."""
        process = self.start(WORKER__PROCESSES=processes, **options)
        least = int(str(processes).partition(".")[0])
        self.until_true("SELECT count(*) >= %s FROM job_workers WHERE status = 'ACTIVE'", least)
        return process

    @contextmanager
    def frozen(self, loop: str) -> Iterator[None]:
        """This loop of every process that was started with it as `freezable` stands still meanwhile."""
        ice = self.folder / f"frozen-{loop}"
        ice.touch()
        try:
            yield
        finally:
            ice.unlink()

    def incarnations(self, process: SchedulerProcess) -> list[UUID]:
        """The workers that a process has been, oldest first."""
        rows = self.rows("SELECT id FROM job_workers WHERE pid = %s ORDER BY started_at", process.pid)
        return [row[0] for row in rows]

    # The database

    @property
    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.url, autocommit=True, application_name="test")
        return self._connection

    def rows(self, sql: str, *values: object) -> list[Any]:
        """Run any statement. Returns its rows, if it has any."""
        cursor = self.connection.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.description is not None else []

    def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row."""
        return self.rows(sql, *values)[0][0]

    def until(self, expected: object, sql: str, *values: object, seconds: float = PATIENCE_SECONDS) -> None:
        """Ask until the answer is `expected`, also while the server is away now and then."""
        deadline = time.monotonic() + seconds
        while (found := self._asked(sql, values)) != expected:
            if time.monotonic() > deadline:
                raise AssertionError(f"{sql} is {found!r} after {seconds:g} s, not {expected!r}")
            time.sleep(_POLL_SECONDS)

    def until_true(self, sql: str, *values: object, seconds: float = PATIENCE_SECONDS) -> None:
        self.until(True, sql, *values, seconds=seconds)

    def _asked(self, sql: str, values: Sequence[object]) -> Any:
        try:
            return self.value(sql, *values)
        except psycopg.OperationalError as error:
            return error

    def enqueue(
        self, handler: str, params: Mapping[str, object] | None = None, *, count: int = 1, **options: object
    ) -> list[int]:
        """Waiting executions in one statement; `options` are further columns. Returns their ids."""
        columns = {"handler_name": handler, "handler_params": Jsonb(params or {}), **options}
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        insert = f"INSERT INTO job_executions ({names}) SELECT {places} FROM generate_series(1, %s) RETURNING id"
        return [row[0] for row in self.rows(insert, *columns.values(), count)]

    def cron_job(self, name: str, expression: str, handler: str, **options: object) -> int:
        """A cron job as one writes it by hand. Returns its id."""
        columns = {"name": name, "cron_expression": expression, "handler_name": handler, **options}
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        return int(self.value(f"INSERT INTO cron_jobs ({names}) VALUES ({places}) RETURNING id", *columns.values()))

    def until_all(self, status: str, ids: Sequence[int], *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until all these executions have the status."""
        self.until({status: len(ids)}, _COUNTS, list(ids), seconds=seconds)

    def until_there(self, name: str, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for a file that a handler leaves in the project."""
        deadline = time.monotonic() + seconds
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, f"{name} is not there after {seconds:g} s"
            time.sleep(_POLL_SECONDS)

    def open_gate(self, attempt: int) -> None:
        """Let the handler `gated` end its attempts of this number."""
        (self.folder / f"gate-{attempt}").touch()

    def assert_sound(self) -> None:
        """All invariants hold, and nothing is left to do."""
        assert audit.violations(self.connection) == {}
