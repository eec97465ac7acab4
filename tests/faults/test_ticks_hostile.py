"""Rows that nobody should have written stand among good ones: each is marked at once, and the good ones are on time."""

from tests.faults.harness import Scene
from tests.rules import hostile

BAD = len(hostile.EXPRESSIONS) + len(hostile.ZONES)
ABSURD_TIMES = ("infinity", "-infinity", "1970-01-01", "0044-03-15 BC", "20000-01-01", "2036-01-01")
MARKED = "SELECT count(*) FROM cron_jobs WHERE invalid_reason IS NOT NULL"
LATE_SECONDS = 1.0


def insert_what_is_bad(scene: Scene) -> None:
    for n, expression in enumerate(hostile.EXPRESSIONS):
        scene.cron_job(f"bad expression {n}", expression, "work")
    for n, zone in enumerate(hostile.ZONES):
        scene.cron_job(f"bad zone {n}", "* * * * * *", "work", timezone=zone)


def insert_what_is_absurd(scene: Scene) -> None:
    for column in ("starts_at", "ends_at", "created_at", "next_run_at", "planned_until"):
        for time in ABSURD_TIMES:
            options = {column: time} if column.endswith("s_at") or column == "created_at" else {}
            id_ = scene.cron_job(f"{column} {time}", "* * * * * *", "work", **options)
            if not options:
                scene.rows(f"UPDATE cron_jobs SET {column} = %s WHERE id = %s", time, id_)


def test_bad_rows_are_marked_and_the_good_are_on_time(scene: Scene) -> None:
    scene.planner()
    good = [scene.cron_job(f"good {n}", "* * * * * *", "work", overlap_policy="allow") for n in range(3)]
    ticks = "SELECT count(DISTINCT scheduled_at) FROM job_executions WHERE cron_job_id = ANY(%s)"
    scene.until_true(f"SELECT ({ticks}) >= 1", good)
    insert_what_is_bad(scene)
    insert_what_is_absurd(scene)
    scene.until(BAD, MARKED)
    reasons = scene.rows("SELECT name, invalid_reason FROM cron_jobs WHERE invalid_reason IS NOT NULL")
    assert {name.rpartition(" ")[0] for name, _ in reasons} == {"bad expression", "bad zone"}
    assert all(reason.endswith((".", "?")) and len(reason) < 600 for _, reason in reasons), reasons
    before = scene.value(ticks, good)
    scene.until_true(f"SELECT ({ticks}) >= %s", good, before + 2)
    late = """SELECT max(created_at - scheduled_at) < make_interval(secs => %s),
                     count(*) FILTER (WHERE status = 'SKIPPED')
              FROM job_executions WHERE cron_job_id = ANY(%s)"""
    assert scene.rows(late, LATE_SECONDS, good) == [(True, 0)]
