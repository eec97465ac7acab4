"""`scheduler cron backfill` while it lasts: what is asked, shown and said when somebody stops it."""

import json
from collections.abc import Callable, Iterator

import pytest

from scheduler import failpoints
from scheduler.cli.cron import backfill as command
from scheduler.operations import backfill
from tests.cli.conftest import Command, Sql

ADD = "INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('often', '* * * * *', 'email')"
POINT = "after_backfill_batch"
COUNT = "SELECT count(*) FROM job_executions"
HOURS = ("cron", "backfill", "often", "--from", "2025-05-01", "--to", "2025-05-01T05:00")

AfterABatch = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def often(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    sql(ADD)
    monkeypatch.setattr(backfill, "BATCH", 100)


@pytest.fixture
def after_a_batch() -> Iterator[AfterABatch]:
    """Do something, once, after the first batch."""

    def arm(action: Callable[[], object]) -> None:
        def act() -> None:
            failpoints.disarm(POINT)
            action()

        failpoints.arm(POINT, act)

    yield arm
    failpoints.disarm(POINT)


def test_a_pipe_gets_a_line_now_and_then(online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LINE_SECONDS", 0.0)
    code, out, err = online(*HOURS, "--json")
    assert code == 0
    assert json.loads(out)["enqueued"] == 300
    assert err.splitlines() == ["100 of 300 ticks", "200 of 300 ticks", "300 of 300 ticks"]


def test_ctrl_c_tells_what_was_done_and_the_same_command_goes_on(
    online: Command, sql: Sql, after_a_batch: AfterABatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    after_a_batch(interrupt)
    code, out, err = online(*HOURS)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "100 enqueued so far, for 100 of 300 ticks.",
        "Interrupted: the same command goes on from there.",
    ]
    assert sql(COUNT) == [(100,)]
    code, out, _ = online(*HOURS)
    assert code == 0
    assert "200 enqueued; 100 were there already." in out


def test_an_edit_meanwhile_tells_what_was_done_too(online: Command, sql: Sql, after_a_batch: AfterABatch) -> None:
    after_a_batch(lambda: sql("UPDATE cron_jobs SET cron_expression = '@daily'"))
    code, _, err = online(*HOURS)
    assert code == 1
    told, error = err.splitlines()
    assert told == "100 enqueued so far, for 100 of 300 ticks."
    assert error.startswith("error: The schedule of cron job 'often' was edited meanwhile")


def test_many_need_a_yes(online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ASKED", 300)
    assert online(*HOURS).code == 2
    assert sql(COUNT) == [(0,)]
    assert online(*HOURS, "--dry-run").code == 0
    assert sql(COUNT) == [(0,)]
    assert online(*HOURS, "--yes").code == 0
    assert sql(COUNT) == [(300,)]


@pytest.mark.parametrize(("answer", "code", "count"), [(True, 0, 300), (False, 1, 0)])
def test_on_a_terminal_they_are_asked_for(
    online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch, answer: bool, code: int, count: int
) -> None:
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(command, "ASKED", 300)
    monkeypatch.setattr("scheduler.cli.agreement.somebody_is_there", lambda: True)
    monkeypatch.setattr("typer.confirm", confirm)
    assert online(*HOURS).code == code
    assert asked == ["Enqueue an execution for each?"]
    assert sql(COUNT) == [(count,)]
