"""The judge: what must hold of the tables that are left, whatever was done. Knows nothing of the faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from tests.faults import audit

CLAIMS: Mapping[str, str] = {
    "I1": "no execution succeeded twice",
    "I2": "no final state was left, but for the operator's retries",
    "I3": "nothing succeeded that was not running",
    "I4": "no attempt was uncounted",
    "I5": "each result is of the last attempt",
    "I6": "no tick happened twice",
    "I6b": "each due second of each cron job has its row, or is in the span of a SKIPPED one",
    "I7": "nothing failed more often than it may",
    "I8": "nothing is held by a worker that is gone",
    "I9": "each state has what belongs to it",
    "I10": "no transactional handler's writes without SUCCESS",
    "I11": "no SUCCESS of a transactional handler without its writes in both databases",
    "I12": "no transactional handler's writes twice",
    "I13": "nothing is left prepared",
    "I14": "no session of the scheduler forgot a transaction",
    "I16": "nothing is left to do",
    "S30": "never more of a key at once than allowed",
    "E1": "no SUCCESS whose attempt did not begin",
    "E2": "no attempt began twice",
}
"""What each of them says, when it holds."""

EVENTUAL = frozenset({"I8", "I10", "I11", "I13", "I14", "I16"})
"""Those that may be violated for a while, as long as something is under way."""
_FINAL = "('SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED')"
_OF_THE_CHAOS: Mapping[str, LiteralString] = {
    "I2": f"""
        SELECT v.id, v.old_status, v.new_status FROM t_audit.ev v
        WHERE v.old_status IN {_FINAL} AND v.new_status <> v.old_status
          AND NOT (v.new_status = 'PENDING' AND EXISTS (
              SELECT FROM chaos.retried r WHERE r.execution_id = v.id AND r.session = v.session))""",
    # Each expression of the chaos is `*/n` seconds: its instants need none of the product's code.
    "I6b": """
        SELECT c.name, due.at
        FROM cron_jobs c JOIN chaos.horizon h ON h.cron_job_id = c.id,
             LATERAL (SELECT coalesce(substring(c.cron_expression FROM '^[*]/([0-9]+) ')::int, 1) AS n) AS step,
             LATERAL (SELECT to_timestamp(n * step.n) AS at FROM generate_series(
                          ceil(extract(epoch FROM c.created_at) / step.n)::bigint,
                          floor(extract(epoch FROM h.planned_until) / step.n)::bigint) AS n) AS due
        WHERE due.at > c.created_at AND NOT EXISTS (
            SELECT FROM job_executions e
            WHERE e.cron_job_id = c.id AND e.source = 'tick'
              AND due.at BETWEEN e.scheduled_at AND coalesce(e.skipped_until, e.scheduled_at))""",
    "I10": """
        SELECT p.execution_id FROM (TABLE paired UNION ALL TABLE paired_elsewhere) AS p
        WHERE NOT EXISTS (SELECT FROM job_executions e WHERE e.id = p.execution_id AND e.status = 'SUCCESS')""",
    "I11": """
        SELECT e.id FROM job_executions e
        WHERE e.handler_name = 'paired' AND e.status = 'SUCCESS'
          AND NOT (EXISTS (SELECT FROM paired p WHERE p.execution_id = e.id)
                   AND EXISTS (SELECT FROM paired_elsewhere p WHERE p.execution_id = e.id))""",
    "I12": """
        SELECT 'here', execution_id FROM paired GROUP BY 2 HAVING count(*) > 1
        UNION ALL SELECT 'elsewhere', execution_id FROM paired_elsewhere GROUP BY 2 HAVING count(*) > 1""",
    "I13": """
        SELECT gid, database FROM pg_prepared_xacts
        WHERE database IN (current_database(), current_setting('chaos.elsewhere'))""",
    "E1": """
        SELECT e.id, e.attempt FROM job_executions e
        WHERE e.status = 'SUCCESS' AND e.handler_name <> 'paired'
          AND NOT EXISTS (SELECT FROM begun b WHERE b.execution_id = e.id AND b.attempt = e.attempt)""",
    "E2": "SELECT execution_id, attempt, count(*) FROM begun GROUP BY 1, 2 HAVING count(*) > 1",
}
INVARIANTS: Mapping[str, LiteralString] = {**audit.INVARIANTS, **_OF_THE_CHAOS}
_ELSEWHERE = {"begun": "begun (execution_id, attempt)", "paired_elsewhere": "paired (execution_id)"}


@dataclass(frozen=True, slots=True)
class Verdict:
    invariant: str
    violations: tuple[Any, ...]

    @property
    def holds(self) -> bool:
        return not self.violations


def judged(url: str, business_url: str) -> tuple[Verdict, ...]:
    """All of them, in the order of `CLAIMS`."""
    with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(business_url) as business:
        connection.execute("SELECT set_config('chaos.elsewhere', %s, false)", [business.info.dbname])
        for name, columns in _ELSEWHERE.items():
            _bring(business, connection, name, columns)
        return tuple(Verdict(name, tuple(connection.execute(INVARIANTS[name]).fetchall())) for name in CLAIMS)


def _bring(there: psycopg.Connection[Any], here: psycopg.Connection[Any], name: str, columns: str) -> None:
    """A copy of the other database's table, for this session."""
    attempt = ", attempt integer" if "attempt" in columns else ""
    here.execute(f"CREATE TEMP TABLE {name} (execution_id bigint{attempt})".encode())
    with (
        there.cursor().copy(f"COPY {columns} TO STDOUT".encode()) as out,
        here.cursor().copy(f"COPY {name} FROM STDIN".encode()) as into,
    ):
        for data in out:
            into.write(data)
    here.execute(f"CREATE INDEX ON {name} (execution_id); ANALYZE {name}".encode())
