"""What a worker does about declared cron jobs when it starts, and says of it."""

from collections.abc import Sequence

import psycopg
import pytest

from scheduler.operations.declared_at_start import apply_at_start, tell_unapplied
from scheduler.store.session import SyncSession
from tests.operations.declaring import declared, job
from tests.store.tables import Events


def said(events: Events) -> list[tuple[str, str | None]]:
    lines = [(event.name, event.values.get("name")) for event in events]
    events.clear()
    return lines


def names(psql: psycopg.Connection) -> list[str]:
    return [name for (name,) in psql.execute("SELECT name FROM cron_jobs ORDER BY name")]


def test_each_thing_done_is_a_line(session: SyncSession, events: Events) -> None:
    apply_at_start(session, declared(job("a"), job("b", "0 3 * * *", timezone="Asia/Seoul")))
    assert events[1].values == {"name": "b", "schedule": "0 3 * * *, Asia/Seoul"}
    assert said(events) == [("declared.created", "a"), ("declared.created", "b")]

    apply_at_start(session, declared(job("a", "@hourly", params={"to": "é"})))
    assert events[0].values["changes"] == 'cron_expression "@daily" → "@hourly", handler_params {} → {"to": "é"}'
    assert events[1].values == {"name": "b", "managed_by": "ours"}
    assert said(events) == [("declared.changed", "a"), ("declared.removed", "b")]

    apply_at_start(session, declared(job("a", "@hourly", params={"to": "é"})))
    assert said(events) == []


def test_what_is_left_is_a_warning_and_the_rest_is_done(
    session: SyncSession, psql: psycopg.Connection, events: Events
) -> None:
    apply_at_start(session, declared(job("a"), job("b")))
    psql.execute("UPDATE cron_jobs SET priority = 5, queue = 'by hand'")
    psql.execute("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('c', '@daily', 'h')")
    events.clear()

    apply_at_start(session, declared(job("a", "@hourly"), job("b"), job("c"), job("d")))
    assert {event.values["columns"] for event in events if event.name == "declared.drift"} == {"queue, priority"}
    assert said(events) == [
        ("declared.changed", "a"), ("declared.drift", "a"), ("declared.drift", "b"), ("declared.taken", "c"),
        ("declared.created", "d"),
    ]  # fmt: skip
    assert psql.execute(
        "SELECT DISTINCT priority FROM cron_jobs WHERE managed_by = 'ours' AND name < 'c'"
    ).fetchall() == [(5,)]


def test_where_nothing_is_declared_nothing_is_removed(
    session: SyncSession, psql: psycopg.Connection, events: Events
) -> None:
    apply_at_start(session, declared(job("a"), job("b")))
    events.clear()
    apply_at_start(session, declared())
    assert [(event.name, event.values) for event in events] == [("declared.kept", {"count": 2, "managed_by": "ours"})]
    assert names(psql) == ["a", "b"]


def test_nobody_has_anything_to_say_about_nothing(session: SyncSession, events: Events) -> None:
    apply_at_start(session, declared())
    tell_unapplied(session, [], "ours")
    tell_unapplied(session, [], None)
    assert said(events) == []


@pytest.mark.parametrize(
    ("now", "managed_by", "count"),
    [(["a"], None, 1), (["a", "b"], "ours", 1), (["b", "c"], "ours", 3), (["a"], "ours", None), ([], "ours", 1)],
    ids=["no owner", "a new one", "a new set", "as declared", "none any more"],
)
def test_what_is_not_applied_is_one_warning(
    session: SyncSession,
    psql: psycopg.Connection,
    events: Events,
    now: Sequence[str],
    managed_by: str,
    count: int | None,
) -> None:
    apply_at_start(session, declared(job("a")))
    events.clear()
    tell_unapplied(session, [job(name) for name in now], managed_by)
    assert [event.values["count"] for event in events] == ([] if count is None else [count])
    assert names(psql) == ["a"]
