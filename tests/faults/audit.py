"""The judge, apart from the faults: a trigger that notes every state a row was in, and what must hold of those notes.

Each invariant is a query that finds what violates it. The names are those of the fault catalogue.
"""

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

import psycopg

_INSTALL = """
CREATE SCHEMA t_audit;
CREATE TABLE t_audit.ev (
    n bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    session integer NOT NULL DEFAULT pg_backend_pid(),
    id bigint NOT NULL, old_status text, new_status text NOT NULL, old_attempt integer, new_attempt integer NOT NULL
);
CREATE FUNCTION t_audit.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO t_audit.ev (id, new_status, new_attempt) VALUES (NEW.id, NEW.status, NEW.attempt);
    ELSE
        INSERT INTO t_audit.ev (id, old_status, new_status, old_attempt, new_attempt)
        VALUES (NEW.id, OLD.status, NEW.status, OLD.attempt, NEW.attempt);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER t_audit AFTER INSERT OR UPDATE ON job_executions FOR EACH ROW EXECUTE FUNCTION t_audit.note();
"""

INVARIANTS: Mapping[str, LiteralString] = {
    # recorded as a success more than once
    "I1": """SELECT id FROM t_audit.ev WHERE new_status = 'SUCCESS' AND old_status IS DISTINCT FROM 'SUCCESS'
             GROUP BY id HAVING count(*) > 1""",
    # a final state that was left again
    "I2": """SELECT id, old_status, new_status FROM t_audit.ev
             WHERE old_status IN ('SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED') AND new_status <> old_status""",
    # a success that nobody ran
    "I3": "SELECT id FROM t_audit.ev WHERE new_status = 'SUCCESS' AND old_status IS DISTINCT FROM 'RUNNING'",
    # an attempt that was not counted
    "I4": "SELECT id FROM t_audit.ev WHERE new_attempt < old_attempt",
    # a result written by another attempt than the last
    "I5": """SELECT id FROM job_executions
             WHERE status = 'SUCCESS' AND result ? 'attempt' AND (result ->> 'attempt')::int <> attempt""",
    # a tick that happened more than once
    "I6": """SELECT cron_job_id, scheduled_at FROM job_executions WHERE cron_job_id IS NOT NULL AND source = 'tick'
             GROUP BY 1, 2 HAVING count(*) > 1""",
    # more failures than allowed
    "I7": "SELECT id FROM job_executions WHERE retry_count > greatest(max_retry, 1)",
    # held by a worker that is gone, and not rescued
    "I8": """SELECT e.id FROM job_executions e LEFT JOIN job_workers w ON w.id = e.claimed_by
             WHERE e.status = 'RUNNING' AND (w.id IS NULL OR w.lease_until < clock_timestamp() - interval '5 s')""",
    # a state without what belongs to it
    "I9": """SELECT id FROM job_executions
             WHERE (status IN ('SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED', 'SKIPPED') AND finished_at IS NULL)
                OR (status = 'RUNNING' AND (claim_token IS NULL OR claimed_by IS NULL))
                OR (status = 'PENDING' AND (claim_token IS NOT NULL OR claimed_by IS NOT NULL))""",
    # a session of the core that forgot its transaction
    "I14": """SELECT application_name FROM pg_stat_activity
              WHERE datname = current_database() AND application_name LIKE 'scheduler %'
                AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '5 s'""",
    # work that is left lying; asked when everything should be done
    "I16": """SELECT id, status FROM job_executions
              WHERE status IN ('PENDING', 'RUNNING') AND available_at <= clock_timestamp()""",
    # more of a key running at once than its limit; a claim counts in a statement that sees what was settled before it
    "S30": """SELECT n, key FROM (
                  SELECT v.n, e.concurrency_key AS key, coalesce(e.concurrency_limit, 1) AS most,
                         sum((v.new_status = 'RUNNING')::int - (v.old_status IS NOT DISTINCT FROM 'RUNNING')::int)
                             OVER (PARTITION BY e.concurrency_key ORDER BY v.n) AS running
                  FROM t_audit.ev v JOIN job_executions e USING (id) WHERE e.concurrency_key IS NOT NULL) AS each
              WHERE running > most""",
}
UNFINISHED = frozenset({"I8", "I16"})
"""Those that may be violated for a while, as long as work is under way."""


def install(connection: psycopg.Connection[Any]) -> None:
    """Begin to take notes, in a database with the scheduler's tables in schema public."""
    connection.execute(_INSTALL)


def violations(connection: psycopg.Connection[Any], *, but: Iterable[str] = ()) -> dict[str, list[Any]]:
    """What violates each invariant, by its name; empty when all hold. `but` names those that need not."""
    names = INVARIANTS.keys() - set(but)
    found = {name: connection.execute(INVARIANTS[name]).fetchall() for name in sorted(names)}
    return {name: rows for name, rows in found.items() if rows}
