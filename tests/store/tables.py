"""The tests' own hands on the tables, and on the clock that all stored times come from."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, Self
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from scheduler.model import Claim, Outcome, OutcomeKind

_CLOCK = """
    CREATE TABLE public.test_clock (shift interval NOT NULL);
    INSERT INTO public.test_clock VALUES ('0');
    CREATE OR REPLACE FUNCTION public.job_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN clock_timestamp() + (SELECT shift FROM public.test_clock);
"""


class Tables:
    """A session of its own, in autocommit, on a migrated database in schema public."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)
        self._shifted = self.value("SELECT to_regclass('test_clock') IS NOT NULL")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def empty(self) -> None:
        """No rows, ids from 1 on, and the clock as it is."""
        self.execute("""TRUNCATE cron_jobs, job_executions, job_workers, job_queues, job_transactions, job_messages,
                        job_alerts RESTART IDENTITY""")
        if self._shifted:
            self.execute("UPDATE test_clock SET shift = '0'")

    def execute(self, query: LiteralString, *parameters: Any) -> None:
        self.connection.execute(query, parameters or None)

    def rows(self, query: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, parameters or None).fetchall()

    def value(self, query: LiteralString, *parameters: Any) -> Any:
        """The first column of the only row."""
        found = self.rows(query, *parameters)
        assert len(found) == 1, found
        return found[0][0]

    def column(self, query: LiteralString, *parameters: Any) -> list[Any]:
        """The first column of all rows."""
        return [row[0] for row in self.rows(query, *parameters)]

    def execution(self, id_: int) -> dict[str, Any]:
        """The row as Python values."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT * FROM job_executions WHERE id = %s", [id_]).fetchone()
        assert found is not None, f"no execution {id_}"
        return found

    def cron_job_row(self, id_: int) -> dict[str, Any]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT * FROM cron_jobs WHERE id = %s", [id_]).fetchone()
        assert found is not None, f"no cron job {id_}"
        return found

    def enqueue(self, handler_name: str = "work", **columns: Any) -> int:
        """Insert an execution; its id."""
        return self._insert("job_executions", {"handler_name": handler_name, **columns})

    def cron_job(self, cron_expression: str = "* * * * * *", **columns: Any) -> int:
        """Insert a cron job; its id."""
        named = {"name": uuid4().hex, "handler_name": "work", "cron_expression": cron_expression}
        return self._insert("cron_jobs", named | columns)

    def worker(self, *, status: str = "ACTIVE", lease: float = 3600.0, age: float = 0.0) -> UUID:
        """Insert a worker whose last heartbeat was `age` seconds ago, and whose lease ends in `lease` seconds."""
        found = self.value(
            """INSERT INTO job_workers (name, status, started_at, heartbeat_at, lease_until)
               VALUES ('test', %s, job_now(), job_now() - make_interval(secs => %s),
                       job_now() + make_interval(secs => %s))
               RETURNING id""",
            status,
            age,
            lease,
        )
        assert isinstance(found, UUID)
        return found

    def running(self, worker: UUID | None = None, **columns: Any) -> tuple[int, UUID]:
        """Insert an execution as if a worker had claimed it; its id and token."""
        token = uuid4()
        values: dict[str, Any] = {
            "status": "RUNNING",
            "claimed_by": worker or uuid4(),
            "claim_token": token,
            "started_at": self.now(),
            "attempt": 1,
            "timeout_seconds": 300.0,
            "max_retry": 3,
            "retry_backoff": "exponential",
            "retry_delay_seconds": 2.0,
        }
        return self.enqueue(**values | columns), token

    def wait_until_blocked(self, pid: int) -> None:
        """Wait until the server process waits for a lock, which nothing announces."""
        deadline = time.monotonic() + 10
        while not self.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", pid):
            assert time.monotonic() < deadline, f"process {pid} waits for no lock"

    def now(self) -> datetime:
        found = self.value("SELECT job_now()")
        assert isinstance(found, datetime)
        return found

    def set_clock(self, at: datetime | str) -> None:
        """From now on job_now() tells times from `at` on. It goes on running."""
        if not self._shifted:
            self.connection.execute(_CLOCK)
            self._shifted = True
        self.execute("UPDATE test_clock SET shift = %s::timestamptz - clock_timestamp()", at)

    def move_clock(self, seconds: float) -> None:
        """Set job_now() forward, or back."""
        if not self._shifted:
            self.connection.execute(_CLOCK)
            self._shifted = True
        self.execute("UPDATE test_clock SET shift = shift + make_interval(secs => %s)", seconds)

    def _insert(self, table: LiteralString, columns: Mapping[str, Any]) -> int:
        values = [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        )
        found = self.connection.execute(statement, values).fetchone()
        assert found is not None
        id_ = found[0]
        assert isinstance(id_, int)
        return id_


class Event(NamedTuple):
    """A line of the log."""

    name: str
    values: Mapping[str, Any]


class Events(list[Event]):
    """The log of a test, as it was meant before it became words."""

    def of(self, name: str) -> Sequence[Mapping[str, Any]]:
        return [event.values for event in self if event.name == name]


def claim(**fields: Any) -> Claim:
    """A claim with nothing unusual about it, of no row."""
    usual = Claim(
        id=1, handler_name="work", params_text="{}", priority=0, available_at=0.0, scheduled_at=0.0, attempt=1,
        timeout_seconds=300.0, retry_count=0, max_retry=3, retry_backoff="exponential", retry_delay_seconds=2.0,
        cron_job_id=None, concurrency_key=None, suspect=False, token=uuid4(),
    )  # fmt: skip
    return usual._replace(**fields)


def success(result: str | None = None, *, seconds: float = 0.0) -> Outcome:
    return Outcome(OutcomeKind.SUCCESS, result=result, seconds=seconds)


def failure(error: str = "it broke", **fields: Any) -> Outcome:
    return Outcome(OutcomeKind.FAILURE, error=error, **fields)
