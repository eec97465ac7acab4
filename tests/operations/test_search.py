"""Finding executions: each filter, in windows of any size, with and without an index, and what bounds the cost."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from scheduler.errors import NotFoundError
from scheduler.model import Status
from scheduler.operations import search as searching
from scheduler.operations.search import Search, looks, names_in_use, newest
from scheduler.store.session import SyncSession

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 300
FILL = """
    INSERT INTO cron_jobs (id, name, cron_expression, handler_name) VALUES (1, 'nightly', '@daily', 'report');
    INSERT INTO job_executions (id, handler_name, queue, status, cron_job_id, created_at, scheduled_at, finished_at,
                                error)
    SELECT 1000 + 3 * n, CASE WHEN n % 50 = 7 THEN 'rare' ELSE 'email' END,
           CASE WHEN n % 3 = 0 THEN 'mail' ELSE 'default' END, status, CASE WHEN n % 10 < 5 THEN 1 END, at, at,
           CASE WHEN status <> 'PENDING' THEN at END,
           CASE WHEN status IN ('FAILED', 'TIMEOUT') THEN 'ValueError: No 100%_Paper' || chr(10) || 'tray ' || n END
    FROM (SELECT n, '2026-01-01 00:00Z'::timestamptz + n * interval '1 min' AS at,
                 (ARRAY['SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED', 'SKIPPED', 'PENDING'])[n % 6 + 1] AS status
          FROM generate_series(0, 299) AS n) AS made
"""
SEARCHES = {
    "everything": Search(),
    "a status": Search(statuses=frozenset({Status.SUCCESS})),
    "dead letters": Search(statuses=frozenset({Status.FAILED, Status.TIMEOUT})),
    "waiting": Search(statuses=frozenset({Status.PENDING}), queue="default"),
    "skipped": Search(statuses=frozenset({Status.SKIPPED})),
    "a handler": Search(handler_name="rare"),
    "a queue": Search(queue="mail"),
    "a cron job": Search(cron_job="nightly"),
    "a cron job's failures": Search(cron_job="nightly", statuses=frozenset({Status.FAILED})),
    "since": Search(since=FIRST + timedelta(minutes=250)),
    "until": Search(until=FIRST + timedelta(minutes=20)),
    "an hour": Search(since=FIRST + timedelta(minutes=60), until=FIRST + timedelta(minutes=120), handler_name="email"),
    "text": Search(error="no 100%_paper"),
    "text on a later line": Search(error="TRAY 7"),
    "text that is no pattern": Search(error="%"),
    "a dot is a dot": Search(error="No.100"),
    "failures since": Search(statuses=frozenset({Status.FAILED}), since=FIRST + timedelta(minutes=290)),
    "nothing": Search(handler_name="nobody"),
}


@pytest.fixture(autouse=True)
def rows(psql: psycopg.Connection) -> None:
    psql.execute(FILL)


@pytest.fixture(params=["one window", "small windows", "small windows and no index"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to go through the same rows."""
    if request.param != "one window":
        monkeypatch.setattr(searching, "_WINDOW", 20)
        monkeypatch.setattr(searching, "_next_size", lambda *_: 20)
    if request.param == "small windows and no index":
        monkeypatch.setattr(searching, "_CANDIDATES", 3)


def expected(psql: psycopg.Connection, search: Search) -> list[int]:
    """The plain way, which reads the whole table."""
    statuses = None if search.statuses is None else [status.value for status in search.statuses]
    given = {
        "statuses": statuses, "handler": search.handler_name, "queue": search.queue, "cron": search.cron_job,
        "error": search.error, "since": search.since, "until": search.until,
    }  # fmt: skip
    found = psql.execute(
        """
        SELECT id FROM job_executions
        WHERE (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s))
          AND (%(handler)s::text IS NULL OR handler_name = %(handler)s)
          AND (%(queue)s::text IS NULL OR queue = %(queue)s)
          AND (%(cron)s::text IS NULL OR cron_job_id = 1)
          AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
          AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
          AND (%(error)s::text IS NULL OR strpos(lower(error), lower(%(error)s)) > 0)
        ORDER BY id DESC
        """,
        given,
    )
    return [row[0] for row in found]


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("name", SEARCHES)
def test_each_filter_finds_what_it_should(name: str, session: SyncSession, psql: psycopg.Connection) -> None:
    should = expected(psql, SEARCHES[name])
    assert (name in {"nothing", "a dot is a dot"}) == (not should)
    seen = list(looks(session, SEARCHES[name]))
    assert [line.id for look in seen for line in look.lines] == should
    assert [look.done for look in seen] == sorted(look.done for look in seen)
    assert seen[-1].below is None


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("name", ["everything", "dead letters", "a handler", "a cron job"])
def test_pages_follow_each_other(name: str, session: SyncSession, psql: psycopg.Connection) -> None:
    seen: list[int] = []
    before = None
    while lines := newest(session, SEARCHES[name], limit=4, before=before).lines:
        seen += [line.id for line in lines]
        before = seen[-1]
    assert seen == expected(psql, SEARCHES[name])


def test_a_line_tells_the_cron_job_and_the_first_line_of_the_error(session: SyncSession) -> None:
    (line,) = newest(session, Search(cron_job="nightly", error="tray 1"), limit=1).lines
    assert (line.cron_job, line.error) == ("nightly", "ValueError: No 100%_Paper")


def test_patience_ends_between_two_looks_and_says_where(session: SyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_WINDOW", 30)
    page = newest(session, Search(handler_name="nobody"), patience=0)
    highest = 1000 + 3 * (ROWS - 1)
    assert (page.lines, page.below) == ([], highest - 29)
    assert page.back_to == FIRST + timedelta(minutes=ROWS - 10)
    rest = newest(session, Search(handler_name="nobody"), before=page.below)
    assert (rest.lines, rest.below) == ([], None)


def test_a_full_page_is_never_out_of_patience(session: SyncSession) -> None:
    page = newest(session, Search(), limit=5, patience=0)
    assert (len(page.lines), page.below) == (5, None)


def test_ids_far_apart_cost_no_looks(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(
        "INSERT INTO job_executions (id, handler_name) VALUES (9223372036854775807, 'h'), (-4, 'h'), (10^15, 'h')"
    )
    seen = list(looks(session, Search(handler_name="h")))
    assert [line.id for look in seen for line in look.lines] == [2**63 - 1, 10**15, -4]
    assert len(seen) <= 4
    recent = looks(session, Search(handler_name="h", since=FIRST + timedelta(days=2)))
    assert [line.id for look in recent for line in look.lines] == [2**63 - 1, 10**15]


def test_a_row_imported_with_a_wrong_time_misleads_nobody(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE job_executions SET created_at = '-infinity' WHERE id IN (1450, 1480, 1600)")
    psql.execute("UPDATE job_executions SET created_at = 'infinity' WHERE id IN (1300, 1810)")
    since = Search(since=FIRST + timedelta(minutes=200))
    found = {line.id for look in looks(session, since) for line in look.lines}
    assert found == set(expected(psql, since)) - {1300}


@pytest.mark.parametrize("days", [0.5, 1.5, 7.5, 40])
def test_few_rows_far_apart_in_time(days: float, session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(
        "UPDATE job_executions SET created_at = '2026-01-01 00:00Z'::timestamptz + (id - 1000) / 3 * interval '1 day'"
    )
    for moment in (FIRST, FIRST + timedelta(days=150), FIRST + timedelta(days=ROWS)):
        search = Search(since=moment - timedelta(days=days), until=moment + timedelta(days=days))
        assert [line.id for look in looks(session, search) for line in look.lines] == expected(psql, search)


def test_no_rows_at_all(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("DELETE FROM job_executions")
    for search in (Search(), SEARCHES["an hour"], SEARCHES["dead letters"]):
        assert list(looks(session, search)) == []
        assert newest(session, search).lines == []


def test_an_unknown_cron_job(session: SyncSession) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'nightly'"):
        newest(session, Search(cron_job="nightli"))


def test_an_absurd_time_hides_nothing(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("UPDATE job_executions SET created_at = '-infinity', started_at = 'infinity'")
    assert len(newest(session, Search(), limit=1000).lines) == ROWS


def test_names_in_use(session: SyncSession) -> None:
    used = names_in_use(session)
    assert (used.handlers, used.queues) == ({"email", "rare", "report"}, {"default", "mail"})
