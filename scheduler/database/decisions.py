"""What is decided about transactions over several databases: the statements on job_transactions, and the names there.

A transaction is `sched:<installation>:<uuid>`; what a participant prepares is that with `:<number>`, for two of them
may be on one server, where each prepared transaction needs a name of its own.

The primary key decides: a coordinator inserts COMMIT in the transaction that it decides about, a resolver inserts
ABORT, and the second of them finds the first one's row. So that a resolver sees at once whether a coordinator is gone,
a coordinator holds an advisory lock on the name from before the first PREPARE until the decision.
"""

import re
import secrets
import time
from typing import Final
from uuid import UUID

PREFIX: Final = "sched"
_NUMBER: Final = re.compile(r":\d+$")

INSTALLATION: Final = "SELECT id::text FROM {s}.job_installation"

UNANSWERED_SECONDS: Final = 600
"""A coordinator that says nothing for so long in the middle of deciding is ended by the server, and nothing is decided.

No ABORT is deleted as early as that, so that none can be missed by a coordinator that was asleep."""

# One statement, sent before the first PREPARE.
GUARD: Final = f"""
SELECT set_config('idle_in_transaction_session_timeout', '{UNANSWERED_SECONDS}s', true),
       set_config('lock_timeout', '5s', true),
       pg_advisory_xact_lock(hashtextextended(%(gid)s, 0))"""

DECIDE: Final = """
INSERT INTO {s}.job_transactions (gid, decision, participants, execution_id, claim_token)
VALUES (%(gid)s, 'COMMIT', %(participants)s, %(execution)s, %(token)s)"""

# Waits for a COMMIT of this name that is under way, up to lock_timeout. `sure`: the coordinator is known to be gone.
ABORT: Final = """
INSERT INTO {s}.job_transactions (gid, decision, participants)
SELECT %(gid)s, 'ABORT', %(participants)s
WHERE %(sure)s OR pg_try_advisory_xact_lock(hashtextextended(%(gid)s, 0))
ON CONFLICT (gid) DO NOTHING"""

DECISIONS: Final = "SELECT t.gid, t.decision FROM {s}.job_transactions AS t WHERE t.gid = ANY(%(gids)s::text[])"

# Index: job_transactions_unsettled. Whoever else marks them leaves these alone for now.
UNSETTLED: Final = """
SELECT t.gid, t.participants FROM {s}.job_transactions AS t WHERE t.settled_at IS NULL ORDER BY t.gid LIMIT %(n)s"""

SETTLED: Final = """
UPDATE {s}.job_transactions SET settled_at = {s}.job_now()
WHERE gid = ANY(ARRAY(
    SELECT t.gid FROM {s}.job_transactions AS t
    WHERE t.gid = ANY(%(gids)s::text[]) AND t.settled_at IS NULL
    FOR UPDATE SKIP LOCKED))"""

KEPT_DAYS: Final = 7

# Names begin with their time, so that the oldest are the first of the primary key.
PRUNE: Final = f"""
DELETE FROM {{s}}.job_transactions
WHERE gid = ANY(ARRAY(
    SELECT t.gid FROM {{s}}.job_transactions AS t
    WHERE t.gid < %(until)s AND t.settled_at IS NOT NULL
      AND t.decided_at < {{s}}.job_now() - interval '{KEPT_DAYS} days'
    ORDER BY t.gid LIMIT %(n)s))"""

# Only of this database: a prepared transaction can be ended nowhere else, and its name says nothing about where it is.
PREPARED: Final = """
SELECT p.gid, extract(epoch FROM clock_timestamp() - p.prepared)::double precision
FROM pg_prepared_xacts AS p WHERE p.database = current_database() AND starts_with(p.gid, %(prefix)s)"""


def rendered(statement: str, schema: str) -> str:
    """The statement for the tables in `schema`."""
    return statement.replace("{s}", '"' + schema.replace('"', '""') + '"')


def new_gid(installation: str) -> str:
    """A name for a transaction, later ones after earlier ones (a UUID of version 7)."""
    return gid_at(installation, time.time(), secrets.randbits(74))


def gid_at(installation: str, seconds: float, chance: int = 0) -> str:
    """The name made at that Unix time, with 74 bits of chance; without, the first that could be."""
    number = int(seconds * 1000) << 80 | 7 << 76 | (chance >> 62) << 64 | 2 << 62 | chance & (1 << 62) - 1
    return f"{PREFIX}:{installation}:{UUID(int=number)}"


def part(gid: str, number: int) -> str:
    """What participant `number`, from 1, prepares."""
    return f"{gid}:{number}"


def whole(prepared: str) -> str:
    """The transaction that a prepared part belongs to."""
    return _NUMBER.sub("", prepared)


def prefix(installation: str) -> str:
    """How the names of an installation begin."""
    return f"{PREFIX}:{installation}:"
