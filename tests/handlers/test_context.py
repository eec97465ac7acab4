"""What a handler may know and say about its execution."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from scheduler.clock import monotonic
from scheduler.errors import SchedulerError
from scheduler.handlers import ExecutionContext, current_execution
from scheduler.messages import JsonFormatter, TextFormatter
from scheduler.testing.isolation_contract import claim, context


def test_outside_of_a_handler_there_is_none() -> None:
    with pytest.raises(SchedulerError, match="inside a handler"):
        current_execution()


def test_it_tells_the_row() -> None:
    row = claim(id=42, attempt=3, name="email")._replace(scheduled_at=1767225600.5, cron_job_id=7)
    execution = ExecutionContext(row, monotonic() + 60)
    assert (execution.id, execution.attempt, execution.retry_count) == (42, 3, 2)
    assert (execution.handler_name, execution.cron_job_id, execution.token) == ("email", 7, row.token)
    assert execution.scheduled_at == datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert 0 < execution.remaining() <= 60


def test_nothing_remains_after_the_deadline() -> None:
    assert ExecutionContext(claim(), monotonic() - 1).remaining() == 0.0


def test_progress_is_taken_once_and_only_the_latest() -> None:
    execution = context()
    assert execution.take_progress() is None
    execution.progress(0.1)
    execution.progress(1, "done\0")
    assert execution.take_progress() == (1.0, "done\N{REPLACEMENT CHARACTER}")
    assert execution.take_progress() is None
    execution.progress(1, "done")
    assert execution.take_progress() == (1.0, "done")


@pytest.mark.parametrize("fraction", [-0.1, 1.01, float("nan"), float("inf")])
def test_progress_is_a_fraction(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        context().progress(fraction)


def test_a_long_message_is_cut() -> None:
    execution = context()
    execution.progress(0.5, "x" * 5000)
    taken = execution.take_progress()
    assert taken is not None
    assert len(taken.message) == 1000


def test_the_first_reason_to_stop_stays() -> None:
    execution = context()
    assert (execution.cancelled, execution.cancel_reason) == (False, None)
    execution.cancel("timeout")
    execution.cancel("shutdown")
    assert (execution.cancelled, execution.cancel_reason) == (True, "timeout")


@pytest.fixture
def lines() -> Iterator[tuple[io.StringIO, logging.Handler]]:
    stream = io.StringIO()
    sink = logging.StreamHandler(stream)
    logger = logging.getLogger("scheduler.handler")
    logger.addHandler(sink)
    logger.setLevel(logging.INFO)
    yield stream, sink
    logger.removeHandler(sink)
    logger.setLevel(logging.NOTSET)


def test_log_lines_name_the_execution(lines: tuple[io.StringIO, logging.Handler]) -> None:
    stream, sink = lines
    sink.setFormatter(TextFormatter("en"))
    ExecutionContext(claim(id=42, name="email"), 0.0).logger.info("sent %d%%", 50)
    assert stream.getvalue().endswith("INFO: Execution 42 (email): sent 50%\n")


def test_structured_log_lines_carry_its_fields(lines: tuple[io.StringIO, logging.Handler]) -> None:
    stream, sink = lines
    sink.setFormatter(JsonFormatter("en"))
    ExecutionContext(claim(id=42, attempt=2, name="email"), 0.0).logger.warning("late", extra={"own": 1})
    line = json.loads(stream.getvalue())
    assert (line["id"], line["handler"], line["attempt"], line["level"]) == (42, "email", 2, "WARNING")
