"""The tables for SQLAlchemy Core, with bare names: `schema_translate_map={None: …}` says where they live.

The migrations make them; a test proves that these are the same, column by column.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={"ck": "%(table_name)s_%(constraint_name)s_check", "uq": "%(table_name)s_%(column_0_name)s_key"}
)

Kind = TypeEngine[Any] | type[TypeEngine[Any]]
Default = str | int | TextClause

Time = DateTime(timezone=True)
NOW = text("job_now()")


def required(name: str, kind: Kind, comment: str | None = None, *, default: Default | None = None) -> Column[Any]:
    """A NOT NULL column, with its server's default."""
    # SQLAlchemy would quote a number, and Postgres keep the cast.
    server_default = text(str(default).lower()) if isinstance(default, int) else default
    return Column(name, kind, nullable=False, server_default=server_default, comment=comment)


def optional(name: str, kind: Kind, comment: str | None = None) -> Column[Any]:
    return Column(name, kind, comment=comment)


def check(name: str, condition: str) -> CheckConstraint:
    return CheckConstraint(condition, name=name)


# fmt: off - a column is a line, and its comment the next one where it is long

cron_jobs = Table(
    "cron_jobs",
    metadata,
    Column(
        "id",
        BigInteger,
        Identity(),
        primary_key=True,
        comment="Executions name it as cron_job_id; it is never reused.",
    ),
    required("name", Text, "What people call it; unique."),
    optional("description", Text, "What it is for, in the words of whoever wrote it."),
    required(
        "cron_expression",
        Text,
        "minute hour day-of-month month day-of-week, with seconds before them if six; @daily and the like; "
        "@every 90s|5m|2h|1d.",
    ),
    required(
        "timezone",
        Text,
        "IANA name, such as Europe/Berlin. A fixed time that DST skips runs once after the gap, one that "
        "comes twice runs once.",
        default="UTC",
    ),
    required("handler_name", Text, "A name that a handler is registered under; never a path to code."),
    required(
        "handler_params", JSONB, "JSON handed to the handler with each execution; at most 1 MiB as text.", default="{}"
    ),
    required(
        "queue",
        Text,
        "The queue that its executions wait under; any name, and some worker has to serve it.",
        default="default",
    ),
    required("priority", SmallInteger, "-9 to 9; higher runs first within its queue.", default=0),
    optional(
        "timeout_seconds",
        Double,
        "Seconds an attempt may take, up to 31622400 (366 days). NULL: the handler's own, else 300.",
    ),
    optional(
        "max_retry",
        Integer,
        "How often an execution may fail in all; 0 and 1: no second try. NULL: the handler's own, else 3.",
    ),
    optional(
        "retry_backoff",
        Text,
        "fixed | linear | exponential: the delay times 1, n, or 2^(n-1) after n failures. NULL: the handler's "
        "own, else exponential.",
    ),
    optional(
        "retry_delay_seconds",
        Double,
        "Seconds, 0 to 86400: what the backoff multiplies. NULL: the handler's own, else 2.",
    ),
    required(
        "overlap_policy",
        Text,
        "What a tick does while an earlier execution isn't final: skip | queue (wait) | allow (run beside it) "
        "| replace (cancel it).",
        default="skip",
    ),
    required(
        "catch_up",
        Text,
        "Which ticks over 10 s late still run: latest (one) | skip (none) | all (the newest catch_up_limit); "
        "the rest become SKIPPED.",
        default="latest",
    ),
    required(
        "catch_up_limit",
        Integer,
        "1 to 10000: bound for catch_up = all, and for the ticks that wait under overlap_policy = queue.",
        default=100,
    ),
    required(
        "jitter_seconds",
        Double,
        "Seconds, 0 to 86400: a tick becomes available up to so much later, by a hash of it; never past the next tick.",
        default=0,
    ),
    optional(
        "expected_duration_seconds",
        Double,
        "Seconds that one is expected to take; longer, it is in the view cron_job_slow. NULL: nothing is expected.",
    ),
    optional(
        "max_start_delay_seconds",
        Double,
        "Seconds that a tick may wait for its start, or it is in cron_job_late. NULL: 60 to be planned, any to be "
        "started.",
    ),
    optional("starts_at", Time, "No tick before this; also the anchor of @every. NULL: from created_at on."),
    optional("ends_at", Time, "No tick at or after this. NULL: no end."),
    required(
        "enabled",
        Boolean,
        "false pauses it: nothing more is planned, and what fell into a pause is never caught up.",
        default=True,
    ),
    optional("paused_reason", Text, "Why it is paused, for people. Cleared when it is resumed."),
    optional(
        "resume_at",
        Time,
        "The planner resumes it then, and a tick at that very moment runs; NULL: somebody has to. Cleared when it is "
        "resumed.",
    ),
    optional(
        "next_run_at",
        Time,
        "The next tick. Kept by the planner: NULL makes it compute anew, infinity means never again.",
    ),
    required(
        "planned_until",
        Time,
        "Every tick up to this is accounted for by a row of job_executions. Kept by the planner.",
        default=NOW,
    ),
    optional("last_run_at", Time, "The last tick that became an execution. NULL: none yet."),
    optional(
        "invalid_reason",
        Text,
        "Why the planner refuses this row; NULL: nothing is wrong. Cleared by an edit of the schedule.",
    ),
    optional("managed_by", Text, "Who declared it (cron apply); NULL: written by hand."),
    optional(
        "declared",
        JSONB,
        "What its declaration said when it was last applied, by column; a column that differs was edited since. "
        "NULL: by hand.",
    ),
    optional(
        "tzdata_version",
        Text,
        "Version of the time zone data that next_run_at was computed with; other data makes it compute anew.",
    ),
    optional(
        "unplanned",
        JSONB,
        "Time that pauses and edits took from the planner, by which schedule; it writes those ticks as SKIPPED. "
        "NULL: none.",
    ),
    required("created_by", Text, "The database role that inserted it.", default=text("current_user")),
    required("created_at", Time, "When it was inserted; no tick is before it.", default=NOW),
    required("updated_at", Time, "The last edit; the planner's own writes don't count.", default=NOW),
    check("name", "name <> '' AND octet_length(name) <= 200"),
    check("handler_name", "handler_name <> '' AND octet_length(handler_name) <= 200"),
    check("handler_params", "octet_length(handler_params::text) <= 1048576"),
    check("queue", "queue <> '' AND octet_length(queue) <= 200"),
    check("priority", "priority BETWEEN -9 AND 9"),
    check("timeout_seconds", "timeout_seconds > 0 AND timeout_seconds <= 31622400"),
    check("max_retry", "max_retry >= 0"),
    check("retry_backoff", "retry_backoff IN ('fixed', 'linear', 'exponential')"),
    check("retry_delay_seconds", "retry_delay_seconds BETWEEN 0 AND 86400"),
    check("overlap_policy", "overlap_policy IN ('skip', 'queue', 'allow', 'replace')"),
    check("catch_up", "catch_up IN ('latest', 'skip', 'all')"),
    check("catch_up_limit", "catch_up_limit BETWEEN 1 AND 10000"),
    check("jitter_seconds", "jitter_seconds BETWEEN 0 AND 86400"),
    check("expected_duration_seconds", "expected_duration_seconds > 0 AND expected_duration_seconds <= 31622400"),
    check("max_start_delay_seconds", "max_start_delay_seconds > 0 AND max_start_delay_seconds <= 31622400"),
    check("declared", "jsonb_typeof(declared) = 'object'"),
    check("unplanned", "jsonb_typeof(unplanned) = 'array'"),
    check("pause", "NOT enabled OR (paused_reason IS NULL AND resume_at IS NULL)"),
    UniqueConstraint("name"),
    comment="When to run which handler, with which params and policies. INSERT, UPDATE and DELETE take effect within "
    "a second.",
)
Index("cron_jobs_plan", cron_jobs.c.next_run_at, postgresql_where=text("enabled AND invalid_reason IS NULL"))
Index("cron_jobs_resume", cron_jobs.c.resume_at, postgresql_where=text("resume_at IS NOT NULL"))

job_executions = Table(
    "job_executions",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True, comment="What cancel_job() and retry_job() take."),
    required("source", Text, "Where it came from: enqueue | tick | manual | backfill | message.", default="enqueue"),
    optional(
        "cron_job_id",
        BigInteger,
        "The cron job (cron_jobs.id) it belongs to; the row may outlive it. NULL: it belongs to none.",
    ),
    required("handler_name", Text, "The handler that runs it: a registered name, never a path to code."),
    required("handler_params", JSONB, "JSON handed to the handler; at most 1 MiB as text.", default="{}"),
    required("queue", Text, "The queue it waits under; workers claim from the queues they serve.", default="default"),
    required("priority", SmallInteger, "-9 to 9; higher runs first within its queue.", default=0),
    required(
        "status",
        Text,
        "PENDING | RUNNING | SUCCESS | FAILED | TIMEOUT | CANCELLED | SKIPPED. FAILED and TIMEOUT are dead letters.",
        default="PENDING",
    ),
    required("scheduled_at", Time, "The nominal tick, or when it was asked for.", default=NOW),
    required(
        "available_at",
        Time,
        "Not to be claimed before this: a delay, a jitter, the backoff after a failure.",
        default=NOW,
    ),
    optional(
        "timeout_seconds",
        Double,
        "Seconds an attempt may take. NULL until a claim writes what is in force: the handler's own, else 300.",
    ),
    required(
        "retry_count",
        Integer,
        "Failed and timed-out attempts so far; at max_retry it is final. retry_job() begins at 0 again.",
        default=0,
    ),
    optional(
        "max_retry",
        Integer,
        "How often it may fail in all; 0 and 1: no second try. NULL until claimed: the handler's own, else 3.",
    ),
    optional(
        "retry_backoff",
        Text,
        "fixed | linear | exponential: the delay times 1, n, or 2^(n-1) after n failures. NULL until claimed, "
        "as timeout_seconds.",
    ),
    optional(
        "retry_delay_seconds",
        Double,
        "Seconds, 0 to 86400: what the backoff multiplies; a wait is at most a day. NULL until claimed: the "
        "handler's, else 2.",
    ),
    required("attempt", Integer, "How often it was claimed, whatever came of it.", default=0),
    optional(
        "claim_token",
        Uuid,
        "The fence: every write of an attempt names it. Kept when final, NULL while waiting.",
    ),
    optional(
        "claimed_by",
        Uuid,
        "The worker (job_workers.id) that has it or had it last. Kept when final, NULL while waiting.",
    ),
    optional(
        "started_at",
        Time,
        "While RUNNING: the claim. Afterwards: when the handler began its last attempt. NULL: never claimed.",
    ),
    optional("finished_at", Time, "When it became final. NULL: PENDING or RUNNING."),
    required(
        "suspect",
        Boolean,
        "Its last worker was lost while holding it; false again at its next outcome.",
        default=False,
    ),
    optional(
        "cancel_requested_at",
        Time,
        "Somebody asked for it to stop. Success still wins; every other outcome becomes CANCELLED.",
    ),
    optional("cancel_reason", Text, "Why, as cancel_job() was told."),
    optional("progress", Double, "0 to 1, as the handler last said. NULL: it said nothing."),
    optional("progress_message", Text, "What the handler said with it."),
    optional("result", JSONB, "JSON that the handler returned. NULL: not SUCCESS, or nothing was returned."),
    optional(
        "error",
        Text,
        "The last error, or why it was skipped or cancelled; its first line says it. NULL: none, or SUCCESS since.",
    ),
    required(
        "errors",
        JSONB,
        "Unsuccessful attempts, the first and the last 19: attempt, outcome, at, worker, error, traceback. "
        "See job_attempts.",
        default="[]",
    ),
    optional(
        "unique_key",
        Text,
        "At most one row with this key for as long as unique_until says. NULL: no such bound.",
    ),
    required(
        "unique_until",
        Text,
        "started: until its first claim; finished: until final; forever: as long as the row exists.",
        default="finished",
    ),
    optional(
        "concurrency_key",
        Text,
        "At most concurrency_limit rows with this key run at once, over all workers; cron:ID for ticks that "
        "may not overlap.",
    ),
    optional(
        "concurrency_limit",
        Integer,
        "How many rows with this concurrency_key may run at once, 1 or more. NULL: 1.",
    ),
    optional(
        "skipped_count",
        Integer,
        "Ticks that a SKIPPED row stands for, up to skipped_until; 10000: at least so many. NULL: not SKIPPED.",
    ),
    optional("skipped_until", Time, "The last tick a SKIPPED row stands for. NULL: not SKIPPED."),
    required("notify_done", Boolean, "Somebody waits for its end, which is notified.", default=False),
    optional(
        "lifted",
        SmallInteger,
        "How often it has waited for aging_seconds of its queue, each of which lifts priority by 1, up to 9. "
        "NULL: never.",
    ),
    required("created_at", Time, "When the row was inserted.", default=NOW),
    check("source", "source IN ('enqueue', 'tick', 'manual', 'backfill', 'message')"),
    check("handler_name", "handler_name <> '' AND octet_length(handler_name) <= 200"),
    check("handler_params", "octet_length(handler_params::text) <= 1048576"),
    check("queue", "queue <> '' AND octet_length(queue) <= 200"),
    check("priority", "priority BETWEEN -9 AND 9"),
    check("status", "status IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED', 'SKIPPED')"),
    check(
        "times",
        "scheduled_at BETWEEN '1970-01-01 00:00:00+00' AND '9999-12-30 00:00:00+00' AND available_at BETWEEN "
        "'1970-01-01 00:00:00+00' AND '9999-12-30 00:00:00+00'",
    ),
    check("timeout_seconds", "timeout_seconds > 0 AND timeout_seconds <= 31622400"),
    check("retry_count", "retry_count >= 0"),
    check("max_retry", "max_retry >= 0"),
    check("retry_backoff", "retry_backoff IN ('fixed', 'linear', 'exponential')"),
    check("retry_delay_seconds", "retry_delay_seconds BETWEEN 0 AND 86400"),
    check("attempt", "attempt >= 0"),
    check(
        "running",
        "status <> 'RUNNING' OR (claimed_by IS NOT NULL AND claim_token IS NOT NULL AND started_at IS NOT NULL)",
    ),
    check("waiting", "status NOT IN ('PENDING', 'SKIPPED') OR (claimed_by IS NULL AND claim_token IS NULL)"),
    check("finished", "(status IN ('PENDING', 'RUNNING')) = (finished_at IS NULL)"),
    check("progress", "progress BETWEEN 0 AND 1"),
    check("errors", "jsonb_typeof(errors) = 'array'"),
    check("unique_key", "unique_key <> '' AND octet_length(unique_key) <= 1024"),
    check("unique_until", "unique_until IN ('started', 'finished', 'forever')"),
    check("concurrency_key", "concurrency_key <> '' AND octet_length(concurrency_key) <= 1024"),
    check("cron_key", "cron_job_id IS NOT NULL OR concurrency_key !~ '^(cron|backfill):'"),
    check("concurrency_limit", "concurrency_limit IS NULL OR (concurrency_limit >= 1 AND concurrency_key IS NOT NULL)"),
    check("skipped", "skipped_count IS NULL OR (status = 'SKIPPED' AND skipped_count >= 1)"),
    comment="One row per piece of work: PENDING -> RUNNING -> SUCCESS | FAILED | TIMEOUT | CANCELLED. SKIPPED rows say "
    "why ticks did not run.",
    postgresql_with={
        "autovacuum_vacuum_scale_factor": 0.02,
        "autovacuum_analyze_scale_factor": 0.02,
        "autovacuum_vacuum_threshold": 1000,
        "autovacuum_analyze_threshold": 500,
    },
)
_SET = "ALTER INDEX job_executions_pkey SET (fillfactor = 50)"
event.listen(job_executions, "after_create", DDL(_SET))  # type: ignore[no-untyped-call]  # SQLAlchemy has no types
_TURN = (
    job_executions.c.queue,
    job_executions.c.priority.desc(),
    job_executions.c.available_at,
    job_executions.c.id,
)
Index(
    "job_executions_tick",
    job_executions.c.cron_job_id,
    job_executions.c.scheduled_at,
    text("(CASE source WHEN 'manual' THEN id ELSE 0 END)"),  # what somebody started by hand is no tick
    unique=True,
    postgresql_where=text("cron_job_id IS NOT NULL AND status <> 'SKIPPED'"),
)
Index(
    "job_executions_skipped",
    job_executions.c.cron_job_id,
    job_executions.c.scheduled_at,
    postgresql_where=text("status = 'SKIPPED'"),
)
Index("job_executions_claim", *_TURN, postgresql_where=text("status = 'PENDING' AND concurrency_key IS NULL"))
Index("job_executions_claim_keyed", *_TURN, postgresql_where=text("status = 'PENDING' AND concurrency_key IS NOT NULL"))
Index(
    "job_executions_of_worker",
    job_executions.c.claimed_by,
    job_executions.c.queue,
    postgresql_where=text("status = 'RUNNING'"),
)
Index(
    "job_executions_of_key",
    job_executions.c.concurrency_key,
    job_executions.c.status,
    job_executions.c.source,
    postgresql_where=text("concurrency_key IS NOT NULL AND status IN ('PENDING', 'RUNNING')"),
)
Index(
    "job_executions_unique_key",
    job_executions.c.unique_key,
    unique=True,
    postgresql_where=text(
        "unique_key IS NOT NULL AND (unique_until = 'forever' "
        "OR (unique_until = 'finished' AND status IN ('PENDING', 'RUNNING')) "
        "OR (unique_until = 'started' AND status = 'PENDING' AND attempt = 0))"
    ),
)
Index(
    "job_executions_dead_letters",
    job_executions.c.finished_at,
    postgresql_where=text("status IN ('FAILED', 'TIMEOUT')"),
)

job_workers = Table(
    "job_workers",
    metadata,
    Column(
        "id",
        Uuid,
        primary_key=True,
        server_default=text("gen_random_uuid()"),
        comment="job_executions.claimed_by names it.",
    ),
    required("name", Text, "What it calls itself, for people; several may share it."),
    required("hostname", Text, "The host it runs on.", default=""),
    optional("pid", Integer, "Its process id on that host. NULL: it did not say."),
    required(
        "queues",
        ARRAY(Text),
        "The queues it claims from, in rotation; empty for a process that only plans.",
        default="{}",
    ),
    required("pool_size", Integer, "How many executions it runs at once.", default=0),
    required(
        "status",
        Text,
        "ACTIVE (claims) | DRAINING (finishes what it has) | STOPPED (ended well) | LOST (its lease ran out). "
        "The last two are final.",
        default="ACTIVE",
    ),
    required("started_at", Time, "When it registered.", default=NOW),
    required("heartbeat_at", Time, "The last sign of life.", default=NOW),
    required("lease_until", Time, "Its claims are valid while heartbeat_at <= job_now() < lease_until."),
    optional(
        "wake_until",
        Time,
        "It sleeps and wants to be notified of new work until then; renewed while idle, never cleared.",
    ),
    required("running_count", Integer, "Attempts running at the last heartbeat.", default=0),
    required("succeeded_count", BigInteger, "Attempts that succeeded, up to the last heartbeat.", default=0),
    required("failed_count", BigInteger, "Attempts that did not succeed, up to the last heartbeat.", default=0),
    optional(
        "loops",
        JSONB,
        'Loop -> {"age": seconds since it last succeeded, "limit": what is too old}, at the last heartbeat. '
        "NULL: not told.",
    ),
    required("version", Text, "The version of the package it runs.", default=""),
    check("status", "status IN ('ACTIVE', 'DRAINING', 'STOPPED', 'LOST')"),
    comment="One row per process that claims and runs, made anew at each start. See job_worker_status.",
    postgresql_with={"fillfactor": 50},
)

job_queues = Table(
    "job_queues",
    metadata,
    Column("name", Text, primary_key=True, comment="The queue, as executions and workers name it."),
    required("paused", Boolean, "Nothing is claimed from it while true and resume_at is not past.", default=False),
    optional("paused_reason", Text, "Why it is paused, for people."),
    optional("resume_at", Time, "The pause ends by itself then; NULL: when somebody resumes it."),
    optional(
        "max_running",
        Integer,
        "At most this many are RUNNING at once, over all workers. NULL: no limit.",
    ),
    optional("key_limit", Integer, "The concurrency_limit of its keyed rows that name none. NULL: 1."),
    optional(
        "rate_limit",
        Integer,
        "At most this many claims in any rate_period_seconds, retries included. NULL: no limit.",
    ),
    optional(
        "rate_period_seconds",
        Double,
        "Seconds, above 0, up to 31622400 (366 days), that rate_limit is about. NULL: no limit.",
    ),
    optional("rate_next_at", Time, "Kept by the claim: when rate_limit allows the next one. NULL or past: at once."),
    optional(
        "rate_taken_at",
        ARRAY(Time),
        "Kept by the claim: the ends of the hundredths of rate_period_seconds in which something was claimed lately.",
    ),
    optional("rate_taken", ARRAY(Integer), "Kept by the claim: how much was claimed in each of them."),
    optional(
        "max_pending",
        Integer,
        "enqueue_job() refuses while so many rows of it are PENDING, delayed ones included. NULL: no limit.",
    ),
    optional(
        "pause_after_failures",
        Integer,
        "A worker that sees so many attempts of it fail in a row pauses it. NULL: none does.",
    ),
    optional(
        "pause_seconds",
        Double,
        "How long such a pause lasts: seconds, above 0, up to 31622400 (366 days). NULL: until somebody resumes it.",
    ),
    optional(
        "aging_seconds",
        Double,
        "Each time that a row has waited for so long, its priority goes up by 1, up to 9: 1 to 31622400. NULL: never.",
    ),
    optional("aged_until", Time, "Kept by the lifter: it has lifted what had waited for so long by then."),
    optional(
        "keep_days",
        Double,
        'Days that its final rows are kept, infinity for ever; NULL: as the setting "retention" says for their status.',
    ),
    optional(
        "keep_last",
        Integer,
        'How many of its newest final rows are kept; NULL: as the setting "retention" says for their status.',
    ),
    check("name", "name <> '' AND octet_length(name) <= 200"),
    check("max_running", "max_running >= 1"),
    check("key_limit", "key_limit >= 1"),
    check("rate_limit", "rate_limit >= 1"),
    check("rate_period_seconds", "rate_period_seconds > 0 AND rate_period_seconds <= 31622400"),
    check("rate", "(rate_limit IS NULL) = (rate_period_seconds IS NULL)"),
    check("max_pending", "max_pending >= 1"),
    check("pause_after_failures", "pause_after_failures >= 1"),
    check("pause_seconds", "pause_seconds > 0 AND pause_seconds <= 31622400"),
    check("aging_seconds", "aging_seconds BETWEEN 1 AND 31622400"),
    check("keep", "keep_days >= 0 AND keep_last >= 0"),
    comment="Settings of queues that have any; a queue needs no row to exist.",
)

job_installation = Table(
    "job_installation",
    metadata,
    Column(
        "only_row",
        Boolean,
        primary_key=True,
        server_default=text("true"),
        comment="Always true, so that there is only one row.",
    ),
    required(
        "id",
        Uuid,
        "In the name of each prepared transaction of ours. A copy of these tables for another use needs another one.",
        default=text("gen_random_uuid()"),
    ),
    required("created_at", Time, "When the tables were made.", default=NOW),
    check("only_row", "only_row"),
    comment="One row: the name by which these tables know their own prepared transactions in other databases.",
)

job_transactions = Table(
    "job_transactions",
    metadata,
    Column(
        "gid",
        Text,
        primary_key=True,
        comment="sched:<installation>:<uuid>; in pg_prepared_xacts of participant n with :n at its end.",
    ),
    required("decision", Text, "COMMIT | ABORT: what every participant has to do."),
    required("participants", ARRAY(Text), "The names of the databases that prepared.", default="{}"),
    optional("execution_id", BigInteger, "The execution (job_executions.id) that it was part of. NULL: none."),
    optional("claim_token", Uuid, "The claim of that execution whose outcome it carries. NULL: none."),
    required("decided_at", Time, "When the decision was made.", default=NOW),
    optional("settled_at", Time, "When every participant had carried the decision out. NULL: not yet."),
    check("decision", "decision IN ('COMMIT', 'ABORT')"),
    comment="The decision of each transaction over several databases: whoever inserts the gid first has decided.",
)
Index("job_transactions_unsettled", job_transactions.c.gid, postgresql_where=text("settled_at IS NULL"))

job_messages = Table(
    "job_messages",
    metadata,
    Column("source", Text, primary_key=True, comment="The message queue it came from."),
    Column(
        "message_id", Text, primary_key=True, comment="The id that it was given; made up for one that came without."
    ),
    optional(
        "execution_id",
        BigInteger,
        "The execution (job_executions.id) it became; the row may be gone. NULL: none.",
    ),
    required("received_at", Time, "When it became an execution.", default=NOW),
    check("message_id", "octet_length(source) <= 200 AND octet_length(message_id) <= 1024"),
    comment="Messages already turned into executions, so that a redelivery makes no second one.",
)

job_tokens = Table(
    "job_tokens",
    metadata,
    Column("name", Text, primary_key=True, comment="Whose it is; what the audit calls them."),
    required(
        "role",
        Text,
        "viewer (no params, results, errors) | operator (also enqueues, calls, cancels, retries, pauses) "
        "| admin (all).",
    ),
    required("digest", LargeBinary, "SHA-256 of the token, which itself is nowhere."),
    required("created_by", Text, "The database role that inserted it.", default=text("current_user")),
    required("created_at", Time, "When it was made.", default=NOW),
    optional("expires_at", Time, "Not taken from then on. NULL: until it is removed."),
    UniqueConstraint("digest"),
    check("name", "name <> '' AND octet_length(name) <= 200"),
    check("role", "role IN ('viewer', 'operator', 'admin')"),
    check("digest", "octet_length(digest) = 32"),
    comment="Who may use the HTTP API. `scheduler web token add` makes one.",
)

job_requests = Table(
    "job_requests",
    metadata,
    Column("scope", Text, primary_key=True, comment="Whose key it is."),
    Column("key", Text, primary_key=True, comment="The Idempotency-Key."),
    required("digest", LargeBinary, "SHA-256 of what was asked for: the same key with something else is refused."),
    required(
        "execution_ids",
        ARRAY(BigInteger),
        "What it enqueued (job_executions.id), in its order; the rows may be gone.",
        default="{}",
    ),
    required("created_at", Time, "When it was asked for first.", default=NOW),
    check("key", "octet_length(scope) <= 400 AND octet_length(key) <= 1024"),
    comment="Requests with an Idempotency-Key and what they enqueued, so that the same again enqueues nothing more.",
)

job_audit = Table(
    "job_audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True, comment="In the order in which it was done."),
    required("at", Time, "When.", default=NOW),
    required("role", Text, "The database role.", default=text("current_user")),
    optional(
        "actor",
        Text,
        "Who that was, as the session's setting scheduler.actor says: a token's name, or a person's. "
        "NULL: it does not say.",
    ),
    required("application", Text, "The application_name of the session.", default=""),
    required(
        "action",
        Text,
        "What, such as cron_job.edit, execution.retry, queue.pause, token.add; docs/http-api.md lists them.",
    ),
    required("target", Text, "With what: the name of the cron job, queue or token, or the id of the execution."),
    optional(
        "changes",
        JSONB,
        "Column -> [before, after], or what else there is to say. Of params only that they changed. "
        "NULL: nothing more.",
    ),
    comment="Who did what, by SQL, by commands and over HTTP; written by triggers and functions. See job_audit_log.",
)

job_alerts = Table(
    "job_alerts",
    metadata,
    Column(
        "id",
        BigInteger,
        Identity(),
        primary_key=True,
        comment="Executions of scheduler.alert name it, which tell of it.",
    ),
    required(
        "rule",
        Text,
        "dead_letter | failing_cron_job | late_cron_job | slow_cron_job | backlog | stuck_loop | in_doubt.",
    ),
    required(
        "subject",
        Text,
        "The handler, cron job, queue, loop of a worker, or transaction that it is about; one is open for each.",
    ),
    required("message", Text, "What is wrong, in a sentence, as it was last seen."),
    required("number", Double, "How many or how much, as it was last seen: executions, failures, or seconds."),
    required("opened_at", Time, "When it was first seen.", default=NOW),
    required("last_seen_at", Time, "When it was last seen.", default=NOW),
    optional("closed_at", Time, "When it had not been seen for long enough to be over. NULL: it is open."),
    check("subject", "octet_length(rule) <= 200 AND octet_length(subject) <= 1024"),
    comment="What was wrong, from when to when, as the rules in the settings have it; open while closed_at IS NULL.",
)
Index(
    "job_alerts_open",
    job_alerts.c.rule,
    job_alerts.c.subject,
    unique=True,
    postgresql_where=text("closed_at IS NULL"),
)
