"""Cron jobs edited, disabled and deleted at the very instant at which they are due: the old schedule or the new.

SCHEDULER_TEST_LONG=1 makes a thousand changes.
"""

import os
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from tests.faults import audit
from tests.faults.harness import Sabotage, Scene

CHANGES = 1_000 if "SCHEDULER_TEST_LONG" in os.environ else 375
BURST = 125
"""As many changes as take about as long as a planner needs for all that is due."""
LATE: Sabotage = (
    "lock_due",
    "d.next_run_at <= (SELECT {s}.job_now())",
    "d.next_run_at <= (SELECT {s}.job_now() - interval '30 ms')",
)
"""A planner is so quick that hardly a change comes between a tick and its plan."""
NO_LOCK: Sabotage = ("lock_due", "FOR UPDATE SKIP LOCKED", "")
FILL = """
INSERT INTO cron_jobs (name, cron_expression, handler_name, handler_params, overlap_policy)
SELECT 'job ' || n, '* * * * * *', 'work', '{"by": "old"}', 'allow' FROM generate_series(1, %s) AS n
RETURNING id
"""
# What is returned is evaluated once the row's lock is held, as what the trigger writes is.
STATEMENTS = {
    "edit": """UPDATE cron_jobs SET cron_expression = '1-59/2 * * * * *', handler_params = '{"by": "new"}' WHERE id = %s
               RETURNING planned_until""",
    "disable": "UPDATE cron_jobs SET enabled = false WHERE id = %s RETURNING planned_until",
    "delete": "DELETE FROM cron_jobs WHERE id = %s RETURNING job_now()",
}
A_SECOND_BEGINS = "SELECT pg_sleep_until(date_trunc('second', clock_timestamp()) + interval '999 ms')"
CHANGED = """
CREATE TABLE t_audit.change (cron_job_id bigint, kind text, at timestamptz);
CREATE VIEW t_audit.tick AS SELECT * FROM job_executions WHERE status <> 'SKIPPED';
"""
WRONG = {
    "planned by the old schedule after it was gone": """
        SELECT e.id FROM t_audit.change c JOIN t_audit.tick e USING (cron_job_id)
        WHERE e.handler_params ->> 'by' = 'old' AND (e.created_at > c.at OR e.scheduled_at > c.at)""",
    "planned by the new schedule for before it was there": """
        SELECT e.id FROM t_audit.change c JOIN t_audit.tick e USING (cron_job_id)
        WHERE e.handler_params ->> 'by' = 'new' AND e.scheduled_at <= c.at""",
    "not of the new schedule": """
        SELECT e.id FROM t_audit.tick e
        WHERE e.handler_params ->> 'by' = 'new' AND mod(extract(second FROM e.scheduled_at)::int, 2) = 0""",
    "planned after nothing was to be planned": """
        SELECT e.id FROM t_audit.change c JOIN t_audit.tick e USING (cron_job_id)
        WHERE c.kind <> 'edit' AND e.created_at > c.at""",
    "left out before the change": """
        SELECT c.cron_job_id, tick FROM t_audit.change c
        CROSS JOIN LATERAL (SELECT min(scheduled_at) AS first, max(scheduled_at) AS last FROM job_executions e
                            WHERE e.cron_job_id = c.cron_job_id AND e.handler_params ->> 'by' = 'old') AS ticks
        CROSS JOIN LATERAL generate_series(first, greatest(last, c.at - interval '2 s'), interval '1 s') AS tick
        WHERE NOT EXISTS (SELECT FROM job_executions e
                          WHERE e.cron_job_id = c.cron_job_id AND e.scheduled_at = tick)""",
    "left out after the edit": """
        SELECT c.cron_job_id, tick FROM t_audit.change c JOIN cron_jobs j ON j.id = c.cron_job_id
        CROSS JOIN LATERAL generate_series(date_trunc('second', c.at), j.planned_until, interval '1 s') AS tick
        WHERE c.kind = 'edit' AND tick > c.at AND mod(extract(second FROM tick)::int, 2) = 1
          AND NOT EXISTS (SELECT FROM job_executions e WHERE e.cron_job_id = j.id AND e.scheduled_at = tick)""",
}
CLOSE = """
SELECT count(*) FILTER (WHERE planned), count(*) FILTER (WHERE NOT planned) FROM (
    SELECT EXISTS (SELECT FROM t_audit.tick e WHERE e.cron_job_id = c.cron_job_id
                                               AND e.scheduled_at = date_trunc('second', c.at)) AS planned
    FROM t_audit.change c WHERE c.at - date_trunc('second', c.at) < interval '300 ms') AS each
"""


def bursts(scene: Scene) -> Iterator[Sequence[int]]:
    """Ids in random order; each time when a second is about to begin, at which all of them are due."""
    ids = [row[0] for row in scene.rows(FILL, CHANGES)]
    scene.until(0, "SELECT count(*) FROM cron_jobs WHERE last_run_at IS NULL")
    Random(28).shuffle(ids)
    for begin in range(0, CHANGES, BURST):
        scene.rows(A_SECOND_BEGINS)
        yield ids[begin : begin + BURST]


def change_them_all(scene: Scene) -> None:
    scene.rows(CHANGED)
    for burst in bursts(scene):
        for place, id_ in enumerate(burst):
            kind = list(STATEMENTS)[place % 3]
            at = scene.value(STATEMENTS[kind], id_)
            scene.rows("INSERT INTO t_audit.change VALUES (%s, %s, %s)", id_, kind, at)


def wrong(scene: Scene) -> dict[str, list[Any]]:
    return {what: rows for what, query in WRONG.items() if (rows := scene.rows(query))}


def test_the_old_schedule_or_the_new_never_both(scene: Scene) -> None:
    planners = [scene.planner(sabotage=[LATE]) for _ in range(2)]
    change_them_all(scene)
    scene.until_true("SELECT min(planned_until) > max(c.at) FROM cron_jobs, t_audit.change c WHERE enabled")
    planned, not_planned = scene.rows(CLOSE)[0]
    print(
        f"{CHANGES} changes; of those close to a due instant {planned} came after the planner, {not_planned} before it"
    )
    assert planned > 0, "no change came just after its tick was planned"
    assert not_planned > 0, "no change came before a tick that was due"
    assert wrong(scene) == {}
    assert audit.violations(scene.connection, but=audit.UNFINISHED) == {}
    assert [event for planner in planners for event in planner.events("loop.failed")] == []


def test_a_planner_that_does_not_lock_what_it_read_is_noticed(scene: Scene) -> None:
    scene.planner(sabotage=[NO_LOCK])
    change_them_all(scene)
    assert "planned by the new schedule for before it was there" in wrong(scene)
