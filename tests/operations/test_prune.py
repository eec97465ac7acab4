"""What retention deletes and what stays, whoever takes the steps."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from scheduler.errors import NotFoundError
from scheduler.model import FINAL, Status
from scheduler.operations.prune import prune, require_queue
from scheduler.rules.retention import Keep, Narrowed, Retention
from scheduler.store import retention
from scheduler.store.retention import Pruned
from scheduler.store.session import SyncSession

WEEK = Retention(statuses=dict.fromkeys(FINAL, Keep(days=7)), workers_days=7, messages_days=7)
FOREVER = Retention()
LOST_WORKER = """
    INSERT INTO job_workers (name, status, heartbeat_at, lease_until) VALUES ('w', 'LOST', now() - interval '9y', now())
"""


def executions(psql: psycopg.Connection, count: int = 1, **columns: Any) -> list[int]:
    """Rows that ended ten days ago, unless `columns` say otherwise; `days` ago. Their ids."""
    days = columns.pop("days", 10)
    status = columns.setdefault("status", "SUCCESS")
    ended = f"job_now() - interval '{days} days'"
    values = {"handler_name": "h", **columns}
    names = ", ".join(values)
    claimed = ""
    if status == "RUNNING":
        names += ", claimed_by, claim_token, started_at"
        claimed = ", gen_random_uuid(), gen_random_uuid(), job_now()"
    rows = psql.execute(
        f"INSERT INTO job_executions (created_at, finished_at, {names}) SELECT {ended},"
        f" {'NULL' if status in ('PENDING', 'RUNNING') else ended}, {', '.join(['%s'] * len(values))}{claimed}"
        " FROM generate_series(1, %s) RETURNING id".encode(),
        [*values.values(), count],
    )
    return [row[0] for row in rows.fetchall()]


def cron_job(psql: psycopg.Connection, name: str = "nightly") -> int:
    row = psql.execute(
        "INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES (%s, '@daily', 'h') RETURNING id", [name]
    ).fetchone()
    assert row is not None
    return int(row[0])


def ticks(psql: psycopg.Connection, cron_job_id: int, days: range, **columns: Any) -> list[int]:
    return [
        executions(psql, cron_job_id=cron_job_id, source="tick", days=day, scheduled_at=ago(psql, day), **columns)[0]
        for day in reversed(days)
    ]


def ago(psql: psycopg.Connection, days: float) -> Any:
    row = psql.execute("SELECT job_now()").fetchone()
    assert row is not None
    return row[0] - timedelta(days=days)


def left(psql: psycopg.Connection) -> list[int]:
    return [row[0] for row in psql.execute("SELECT id FROM job_executions ORDER BY id").fetchall()]


def pruned(session: SyncSession, rules: Retention = WEEK, narrowed: Narrowed | None = None, **how: Any) -> Pruned:
    *_, last = prune(session, rules, narrowed, **how)
    return last


def test_what_is_over_and_old_goes_and_nothing_else(session: SyncSession, psql: psycopg.Connection) -> None:
    for status in Status:
        executions(psql, status=status)
    young = [executions(psql, status=status, days=6)[0] for status in FINAL]
    unfinished = [row[0] for row in psql.execute("SELECT id FROM job_executions WHERE finished_at IS NULL").fetchall()]
    assert pruned(session).executions == {(status.value, "default"): 1 for status in FINAL}
    assert left(psql) == sorted([*young, *unfinished])
    assert pruned(session).total == 0


def test_each_status_has_its_own_age(session: SyncSession, psql: psycopg.Connection) -> None:
    rules = Retention(statuses={Status.SUCCESS: Keep(days=5), Status.FAILED: Keep(days=20)})
    executions(psql)
    stay = [executions(psql, status=status)[0] for status in ("FAILED", "TIMEOUT")]
    executions(psql, status="FAILED", days=21)
    assert pruned(session, rules).total == 2
    assert left(psql) == stay


def test_more_than_a_batch_in_windows(
    session: SyncSession, psql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOK", 10)
    monkeypatch.setattr(retention, "BATCH", 3)
    expected = []
    for _ in range(5):
        executions(psql, 7)
        expected += executions(psql, 4, days=1)
        expected += executions(psql, 11, status="PENDING")
    looked = list(prune(session, WEEK))
    assert [each.total for each in looked[-1:]] == [35]
    assert left(psql) == expected
    assert looked[-1].done == 1


def test_without_rules_nothing_goes(session: SyncSession, psql: psycopg.Connection) -> None:
    executions(psql, 3, days=4000)
    psql.execute(LOST_WORKER)
    assert pruned(session, FOREVER) == Pruned(done=1.0)


def test_a_dry_run_counts_what_would_go_and_deletes_nothing(session: SyncSession, psql: psycopg.Connection) -> None:
    executions(psql, 3, queue="mail")
    (oldest,) = executions(psql, queue="mail", days=40)
    executions(psql, 2, days=3)
    found = pruned(session, dry_run=True)
    assert found.executions == {("SUCCESS", "mail"): 4}
    ended = psql.execute(
        "SELECT extract(epoch FROM finished_at) FROM job_executions WHERE id = %s", [oldest]
    ).fetchone()
    assert ended is not None
    assert found.oldest["SUCCESS", "mail"] == pytest.approx(float(ended[0]), abs=0.01)
    assert len(left(psql)) == 6


def test_a_queue_may_keep_its_rows_shorter_or_longer(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute(
        "INSERT INTO job_queues (name, keep_days)"
        " VALUES ('short', 1), ('long', 100), ('ever', 'infinity'), ('nan', 'nan')"
    )
    executions(psql, queue="short", days=2)
    executions(psql, queue="long", days=101)
    stay = [executions(psql, queue=queue)[0] for queue in ("long", "ever", "nan")]
    assert pruned(session).total == 2
    assert left(psql) == stay


def test_a_cron_job_comes_before_its_queue(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("INSERT INTO job_queues (name, keep_days) VALUES ('default', 1)")
    kept = ticks(psql, cron_job(psql), range(1, 6))
    rules = Retention(statuses=WEEK.statuses, cron_jobs={"nightly": Keep(days=4.5), "nightl": Keep(days=1)})
    found = pruned(session, rules)
    assert left(psql) == kept[1:]
    assert found.unknown == ("nightl",)


@pytest.mark.parametrize("last", [0, 1, 5, 12, 13, 100])
def test_of_a_status_the_newest_stay(
    session: SyncSession, psql: psycopg.Connection, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOK", 4)
    monkeypatch.setattr(retention, "COUNT", 4)
    ids = []
    for _ in range(6):
        ids += executions(psql, 2, days=1)
        executions(psql, days=1, status="PENDING")
        executions(psql, days=1, status="FAILED")
    rules = Retention(statuses={Status.SUCCESS: Keep(last=last)})
    assert pruned(session, rules).total == max(0, 12 - last)
    rows = psql.execute("SELECT id FROM job_executions WHERE status = 'SUCCESS' ORDER BY id").fetchall()
    assert [row[0] for row in rows] == ids[max(0, 12 - last) :]
    assert len(left(psql)) == 12 + min(12, last)


def test_a_queue_counts_its_own_and_no_others_count_them(session: SyncSession, psql: psycopg.Connection) -> None:
    psql.execute("INSERT INTO job_queues (name, keep_last) VALUES ('mail', 3), ('empty', 9)")
    mail = executions(psql, 5, queue="mail", days=1) + executions(psql, 2, queue="mail", days=1, status="FAILED")
    others = executions(psql, 4, days=1)
    assert pruned(session, Retention(statuses={Status.SUCCESS: Keep(last=2)})).total == 6
    assert left(psql) == mail[-3:] + others[-2:]


def test_a_cron_job_counts_its_own_by_tick(session: SyncSession, psql: psycopg.Connection) -> None:
    first, second = cron_job(psql), cron_job(psql, "other")
    mine, others = ticks(psql, first, range(6)), ticks(psql, second, range(6))
    rules = Retention(cron_jobs={"nightly": Keep(last=2), "other": Keep(last=100)})
    assert pruned(session, rules).total == 4
    assert left(psql) == mine[-2:] + others


@pytest.mark.parametrize("newest", ["SUCCESS", "FAILED"])
def test_the_newest_outcome_of_a_cron_job_stays(session: SyncSession, psql: psycopg.Connection, newest: str) -> None:
    ids = ticks(psql, cron_job(psql), range(10, 13))
    ids += ticks(psql, 4711, range(10, 13))  # that cron job is gone
    psql.execute("UPDATE job_executions SET status = %s WHERE id = %s", [newest, ids[2]])
    executions(psql, cron_job_id=1, status="SKIPPED", skipped_count=1, days=9)
    before = psql.execute("SELECT last_status, last_finished_at FROM cron_job_status").fetchall()
    for rules in (WEEK, Retention(statuses=dict.fromkeys(FINAL, Keep(last=0)), cron_jobs={"nightly": Keep(last=0)})):
        pruned(session, rules)
        assert left(psql) == [ids[2]]
        assert psql.execute("SELECT last_status, last_finished_at FROM cron_job_status").fetchall() == before


def test_a_skip_that_is_still_to_come_stays(session: SyncSession, psql: psycopg.Connection) -> None:
    skip: dict[str, Any] = {"cron_job_id": cron_job(psql), "status": "SKIPPED", "source": "manual", "skipped_count": 9}
    (ahead,) = executions(psql, **skip, skipped_until=ago(psql, -30))
    (recent,) = executions(psql, **skip, skipped_until=ago(psql, 3))
    executions(psql, **skip, skipped_until=ago(psql, 8))
    assert pruned(session).total == 1
    pruned(session, Retention(statuses={Status.SKIPPED: Keep(last=0)}))
    assert ahead in left(psql)
    assert recent not in left(psql)


def test_a_key_for_ever_is_kept_until_its_own_rule(session: SyncSession, psql: psycopg.Connection) -> None:
    (held,) = executions(psql, unique_key="order 7", unique_until="forever")
    executions(psql, unique_key="order 8", unique_until="finished")
    narrowed = Narrowed(older_than_days=1)
    assert pruned(session).total == 1
    assert pruned(session, narrowed=narrowed).total == 0
    again = psql.execute("SELECT enqueue_job('h', unique_key => 'order 7', unique_until => 'forever')").fetchone()
    assert again == (held,)
    assert pruned(session, Retention(statuses=WEEK.statuses, unique_forever_days=11)).total == 0
    assert pruned(session, Retention(statuses=WEEK.statuses, unique_forever_days=9)).total == 1


def test_what_an_unsettled_transaction_names_stays(session: SyncSession, psql: psycopg.Connection) -> None:
    named, _ = executions(psql, 2)
    psql.execute(
        "INSERT INTO job_transactions (gid, decision, execution_id) VALUES ('g', 'COMMIT', %s), ('h', 'ABORT', NULL)",
        [named],
    )
    pruned(session)
    assert left(psql) == [named]
    psql.execute("UPDATE job_transactions SET settled_at = now()")
    assert pruned(session).total == 1


def test_what_was_sent_back_meanwhile_stays(session: SyncSession, psql: psycopg.Connection) -> None:
    """Between the look and the delete; and what somebody holds is waited for by nobody."""
    retried, ended_again, held, gone = executions(psql, 4, status="FAILED")
    steps = retention.Pruning(WEEK).steps()
    step: retention.Step | None = next(steps)
    while step is not None and step.statement != "prune_delete":
        step = retention.following(steps, retention.take(session, step))
    assert step is not None
    psql.execute("SELECT retry_job(id) FROM job_executions WHERE id = ANY (%s)", [[retried, ended_again]])
    psql.execute("UPDATE job_executions SET status = 'FAILED', finished_at = job_now() WHERE id = %s", [ended_again])
    with psql.transaction():
        psql.execute("SELECT FROM job_executions WHERE id = %s FOR UPDATE", [held])
        assert retention.take(session, step) == [(gone,)]
    assert left(psql) == [retried, ended_again, held]


def test_workers_that_ended_go_and_their_executions_stay(session: SyncSession, psql: psycopg.Connection) -> None:
    for status in ("ACTIVE", "DRAINING", "STOPPED", "LOST"):
        for days in (6, 8):
            psql.execute(
                "INSERT INTO job_workers (name, status, heartbeat_at, lease_until)"
                " VALUES (%s, %s, job_now() - make_interval(days => %s), job_now())",
                [f"{status} {days}", status, days],
            )
    executions(psql, status="RUNNING")
    psql.execute("UPDATE job_executions SET claimed_by = (SELECT id FROM job_workers WHERE name = 'LOST 8')")
    assert pruned(session, dry_run=True).workers == 1
    assert pruned(session).workers == 1
    names = {row[0] for row in psql.execute("SELECT name FROM job_workers").fetchall()}
    assert len(names) == 7
    assert "STOPPED 8" not in names


def test_messages_outlive_their_executions(
    session: SyncSession, psql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    (here,) = executions(psql, days=1)
    psql.execute(
        "INSERT INTO job_messages (source, message_id, execution_id, received_at)"
        " SELECT 'q' || mod(n, 3), n::text, CASE WHEN n = 5 THEN %s ELSE 4711 END,"
        " job_now() - make_interval(days => CASE WHEN n < 8 THEN 8 ELSE 6 END) FROM generate_series(1, 9) AS n",
        [here],
    )
    assert pruned(session, dry_run=True).messages == 6
    assert pruned(session).messages == 6
    assert {row[0] for row in psql.execute("SELECT message_id FROM job_messages").fetchall()} == {"5", "8", "9"}


@pytest.mark.parametrize(
    ("narrowed", "gone"),
    [
        ({"statuses": frozenset({Status.FAILED})}, 2),
        ({"queue": "mail"}, 2),
        ({"queue": "mail", "statuses": frozenset({Status.FAILED})}, 1),
        ({"older_than_days": 2.5}, 8),
        ({"older_than_days": 2.5, "queue": "mail"}, 4),
        ({"older_than_days": 3650.0}, 0),
        ({"queue": "nobody's"}, 0),
    ],
)
def test_a_part_of_it(session: SyncSession, psql: psycopg.Connection, narrowed: Mapping[str, Any], gone: int) -> None:
    for days in (10, 3, 1):
        for queue in ("default", "mail"):
            for status in ("SUCCESS", "FAILED"):
                executions(psql, queue=queue, status=status, days=days)
    psql.execute(LOST_WORKER)
    found = pruned(session, narrowed=Narrowed(**narrowed))
    assert (found.total, found.workers, len(left(psql))) == (gone, 0, 12 - gone)


def test_an_empty_table_and_one_with_ids_of_all_kinds(session: SyncSession, psql: psycopg.Connection) -> None:
    assert pruned(session).total == 0
    for id_ in (-(2**63) + 1, -5, 0, 2**63 - 2):
        executions(psql, id=id_)
    assert pruned(session).total == 4


def test_a_queue_that_has_only_old_rows_is_known(session: SyncSession, psql: psycopg.Connection) -> None:
    executions(psql, queue="mail")
    require_queue(session, "mail")
    with pytest.raises(NotFoundError, match="Did you mean 'mail'"):
        require_queue(session, "mial")
