-- The schema of the scheduler, whole. Written by `./dev schema` from the migrations: change those, not this.
--
-- `scheduler migrate` makes just this, and a version table. To try it by hand in an empty schema of your own:
--     CREATE SCHEMA jobs; SET search_path = jobs, pg_temp; \i schema.sql


-- What the tables' defaults and triggers call -------------------------------------------------------------------------

-- The one clock, clock_timestamp(): every stored time is this. Tests replace it.
CREATE FUNCTION job_now()
 RETURNS timestamp with time zone
 LANGUAGE sql
 PARALLEL SAFE
RETURN clock_timestamp();

-- Trigger: notifies of new executions, only while some worker sleeps, for NOTIFY makes concurrent commits wait for each
-- other.
CREATE FUNCTION job_executions_wake()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    IF EXISTS (SELECT FROM job_workers WHERE wake_until > job_now()) THEN
        PERFORM pg_notify(job_channel(), '');
    END IF;
    RETURN NULL;
END $function$;

-- Trigger: notifies job_done_SCHEMA of the end of an execution that somebody waits for (notify_done), its id as the
-- payload.
CREATE FUNCTION job_executions_done()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    PERFORM pg_notify('job_done_' || TG_TABLE_SCHEMA, NEW.id::text);
    RETURN NULL;
END $function$;

-- Trigger: an edit of the schedule counts from now; what was due before it is not made up for. Keeps updated_at.
CREATE FUNCTION cron_jobs_edited()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path FROM CURRENT
AS $function$
DECLARE
    since timestamptz;
    ended timestamptz;
    because text;
BEGIN
    -- A pause that is over ends with the next write, which the planner sees to. An edit of the schedule is told apart: it counts from now.
    IF TG_OP = 'UPDATE' AND NOT OLD.enabled AND NEW.resume_at <= job_now()
       AND (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at) IS NOT DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at) THEN
        NEW.enabled := true;
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.next_run_at := NULL;
        NEW.planned_until := job_now();
        NEW.invalid_reason := NULL;
        NEW.updated_at := NEW.created_at;  -- the two defaults are a microsecond apart now and then
    ELSIF (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at, NEW.enabled)
          IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at, OLD.enabled) THEN
        ended := job_now();
        IF NEW.enabled AND NOT OLD.enabled THEN
            IF NEW.resume_at <= ended THEN  -- however late somebody says so: a tick at resume_at is no part of the pause
                ended := greatest(least(OLD.planned_until, ended), greatest(NEW.resume_at, to_timestamp(0)) - interval '1 us');
            END IF;
            NEW.paused_reason := NULL;
            NEW.resume_at := NULL;
        END IF;
        IF OLD.planned_until > job_now() THEN
            -- A skip ends with it. What of it is past has to be counted anew, by the schedule of then, and that is the planner's.
            because := 'skip';
            WITH ended AS (
                DELETE FROM job_executions e
                WHERE e.cron_job_id = OLD.id AND e.status = 'SKIPPED' AND e.source = 'manual' AND e.skipped_until > job_now() RETURNING e.scheduled_at
            ) SELECT min(scheduled_at) - interval '1 us' INTO since FROM ended;
        ELSIF OLD.invalid_reason IS NULL THEN
            because := CASE WHEN NOT OLD.enabled THEN 'paused' WHEN NOT NEW.enabled THEN 'pause' ELSE 'edit' END;
            since := OLD.planned_until;
        END IF;
        IF since < ended THEN
            -- A hundred are enough for a row that nobody plans; whoever reads them reckons with any text in them.
            NEW.unplanned := CASE WHEN jsonb_array_length(OLD.unplanned) >= 100 THEN OLD.unplanned - 0 ELSE coalesce(OLD.unplanned, '[]') END
                || jsonb_build_object('since', since, 'until', ended, 'because', because, 'reason', left(OLD.paused_reason, 200),
                                      'cron_expression', left(OLD.cron_expression, 201), 'timezone', left(OLD.timezone, 100),
                                      'starts_at', OLD.starts_at, 'ends_at', OLD.ends_at);
        END IF;
        NEW.next_run_at := NULL;
        -- Ahead without a skip, the clock went back: what was planned by it has its rows, before and after a pause. A day is the planner's bound.
        IF since IS NOT NULL OR OLD.planned_until NOT BETWEEN job_now() AND job_now() + interval '1 day'
           OR (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at)
              IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at) THEN
            NEW.planned_until := ended;
        END IF;
        NEW.invalid_reason := NULL;
        NEW.updated_at := job_now();
    ELSIF (NEW.planned_until, NEW.invalid_reason, NEW.tzdata_version) IS NOT DISTINCT FROM (OLD.planned_until, OLD.invalid_reason, OLD.tzdata_version) THEN
        -- By hand, for each write of the planner's changes one of these.
        NEW.next_run_at := CASE WHEN NEW.next_run_at IS NOT DISTINCT FROM OLD.next_run_at THEN OLD.next_run_at END;
        NEW.updated_at := job_now();
    END IF;
    RETURN NEW;
END $function$;

-- Trigger: notifies the planners of an edit. Their own updates name none of these columns.
CREATE FUNCTION cron_jobs_wake()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    PERFORM pg_notify(job_channel(), '');
    RETURN NULL;
END $function$;

-- Trigger: writes down who added, edited or removed a cron job, a queue's settings or a token. The line's own writes
-- name none of these columns.
CREATE FUNCTION job_audited_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path FROM CURRENT
AS $function$
DECLARE
    kept_by_us text[] := '{id,created_at,created_by,updated_at,next_run_at,planned_until,last_run_at,invalid_reason,tzdata_version,unplanned,declared,rate_next_at,rate_taken_at,rate_taken}';
    secret text[] := '{handler_params,digest}';
    before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) WHEN TG_TABLE_NAME = 'job_queues' THEN jsonb_build_object('name', NEW.name, 'paused', false) ELSE '{}' END;
    after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ELSE '{}' END;
    changes jsonb;
    verb text;
BEGIN
    SELECT jsonb_object_agg(k.key, CASE WHEN k.key = ANY (secret) THEN to_jsonb('changed'::text) ELSE jsonb_build_array(before -> k.key, after -> k.key) END)
    INTO changes
    FROM jsonb_object_keys(before || after) AS k (key)
    WHERE k.key <> ALL (kept_by_us) AND coalesce(before -> k.key, 'null') IS DISTINCT FROM coalesce(after -> k.key, 'null');
    IF changes IS NULL THEN
        RETURN NULL;
    END IF;
    verb := CASE WHEN TG_OP = 'DELETE' THEN 'remove'
                 WHEN changes ? 'paused' THEN CASE after ->> 'paused' WHEN 'true' THEN 'pause' ELSE 'resume' END
                 WHEN TG_OP = 'INSERT' AND TG_TABLE_NAME <> 'job_queues' THEN 'add'
                 WHEN changes ? 'enabled' AND changes - 'enabled' = '{}' THEN CASE after ->> 'enabled' WHEN 'true' THEN 'resume' ELSE 'pause' END
                 ELSE 'edit' END;
    PERFORM job_audited(regexp_replace(TG_TABLE_NAME, '^job_|s$', '', 'g') || '.' || verb, coalesce(before ->> 'name', after ->> 'name'), changes);
    RETURN NULL;
END $function$;


-- cron_jobs -----------------------------------------------------------------------------------------------------------

-- When to run which handler, with which params and policies. INSERT, UPDATE and DELETE take effect within a second.
CREATE TABLE cron_jobs (
    id                        bigint           GENERATED BY DEFAULT AS IDENTITY,  -- Executions name it as cron_job_id; it is never reused.
    name                      text             NOT NULL,                          -- What people call it; unique.
    description               text,                                               -- What it is for, in the words of whoever wrote it.
    cron_expression           text             NOT NULL,                          -- minute hour day-of-month month day-of-week, with
                                                                                  -- seconds before them if six; @daily and the like; @every
                                                                                  -- 90s|5m|2h|1d.
    timezone                  text             NOT NULL DEFAULT 'UTC',            -- IANA name, such as Europe/Berlin. A fixed time that DST
                                                                                  -- skips runs once after the gap, one that comes twice
                                                                                  -- runs once.
    handler_name              text             NOT NULL,                          -- A name that a handler is registered under; never a path
                                                                                  -- to code.
    handler_params            jsonb            NOT NULL DEFAULT '{}',             -- JSON handed to the handler with each execution; at most
                                                                                  -- 1 MiB as text.
    queue                     text             NOT NULL DEFAULT 'default',        -- The queue that its executions wait under; any name, and
                                                                                  -- some worker has to serve it.
    priority                  smallint         NOT NULL DEFAULT 0,                -- -9 to 9; higher runs first within its queue.
    timeout_seconds           double precision,                                   -- Seconds an attempt may take, up to 31622400 (366 days).
                                                                                  -- NULL: the handler's own, else 300.
    max_retry                 integer,                                            -- How often an execution may fail in all; 0 and 1: no
                                                                                  -- second try. NULL: the handler's own, else 3.
    retry_backoff             text,                                               -- fixed | linear | exponential: the delay times 1, n, or
                                                                                  -- 2^(n-1) after n failures. NULL: the handler's own, else
                                                                                  -- exponential.
    retry_delay_seconds       double precision,                                   -- Seconds, 0 to 86400: what the backoff multiplies. NULL:
                                                                                  -- the handler's own, else 2.
    overlap_policy            text             NOT NULL DEFAULT 'skip',           -- What a tick does while an earlier execution isn't
                                                                                  -- final: skip | queue (wait) | allow (run beside it) |
                                                                                  -- replace (cancel it).
    catch_up                  text             NOT NULL DEFAULT 'latest',         -- Which ticks over 10 s late still run: latest (one) |
                                                                                  -- skip (none) | all (the newest catch_up_limit); the rest
                                                                                  -- become SKIPPED.
    catch_up_limit            integer          NOT NULL DEFAULT 100,              -- 1 to 10000: bound for catch_up = all, and for the ticks
                                                                                  -- that wait under overlap_policy = queue.
    jitter_seconds            double precision NOT NULL DEFAULT 0,                -- Seconds, 0 to 86400: a tick becomes available up to so
                                                                                  -- much later, by a hash of it; never past the next tick.
    expected_duration_seconds double precision,                                   -- Seconds that one is expected to take; longer, it is in
                                                                                  -- the view cron_job_slow. NULL: nothing is expected.
    max_start_delay_seconds   double precision,                                   -- Seconds that a tick may wait for its start, or it is in
                                                                                  -- cron_job_late. NULL: 60 to be planned, any to be
                                                                                  -- started.
    starts_at                 timestamptz,                                        -- No tick before this; also the anchor of @every. NULL:
                                                                                  -- from created_at on.
    ends_at                   timestamptz,                                        -- No tick at or after this. NULL: no end.
    enabled                   boolean          NOT NULL DEFAULT true,             -- false pauses it: nothing more is planned, and what fell
                                                                                  -- into a pause is never caught up.
    paused_reason             text,                                               -- Why it is paused, for people. Cleared when it is
                                                                                  -- resumed.
    resume_at                 timestamptz,                                        -- The planner resumes it then, and a tick at that very
                                                                                  -- moment runs; NULL: somebody has to. Cleared when it is
                                                                                  -- resumed.
    next_run_at               timestamptz,                                        -- The next tick. Kept by the planner: NULL makes it
                                                                                  -- compute anew, infinity means never again.
    planned_until             timestamptz      NOT NULL DEFAULT job_now(),        -- Every tick up to this is accounted for by a row of
                                                                                  -- job_executions. Kept by the planner.
    last_run_at               timestamptz,                                        -- The last tick that became an execution. NULL: none yet.
    invalid_reason            text,                                               -- Why the planner refuses this row; NULL: nothing is
                                                                                  -- wrong. Cleared by an edit of the schedule.
    managed_by                text,                                               -- Who declared it (cron apply); NULL: written by hand.
    declared                  jsonb,                                              -- What its declaration said when it was last applied, by
                                                                                  -- column; a column that differs was edited since. NULL:
                                                                                  -- by hand.
    tzdata_version            text,                                               -- Version of the time zone data that next_run_at was
                                                                                  -- computed with; other data makes it compute anew.
    unplanned                 jsonb,                                              -- Time that pauses and edits took from the planner, by
                                                                                  -- which schedule; it writes those ticks as SKIPPED. NULL:
                                                                                  -- none.
    created_by                text             NOT NULL DEFAULT CURRENT_USER,     -- The database role that inserted it.
    created_at                timestamptz      NOT NULL DEFAULT job_now(),        -- When it was inserted; no tick is before it.
    updated_at                timestamptz      NOT NULL DEFAULT job_now(),        -- The last edit; the planner's own writes don't count.
    CONSTRAINT cron_jobs_pkey PRIMARY KEY (id),
    CONSTRAINT cron_jobs_name_key UNIQUE (name),
    CONSTRAINT cron_jobs_name_check CHECK (name <> '' AND octet_length(name) <= 200),
    CONSTRAINT cron_jobs_handler_name_check CHECK (handler_name <> '' AND octet_length(handler_name) <= 200),
    CONSTRAINT cron_jobs_handler_params_check CHECK (octet_length(handler_params::text) <= 1048576),
    CONSTRAINT cron_jobs_queue_check CHECK (queue <> '' AND octet_length(queue) <= 200),
    CONSTRAINT cron_jobs_priority_check CHECK (priority >= '-9'::integer AND priority <= 9),
    CONSTRAINT cron_jobs_timeout_seconds_check CHECK (timeout_seconds > 0 AND timeout_seconds <= 31622400),
    CONSTRAINT cron_jobs_max_retry_check CHECK (max_retry >= 0),
    CONSTRAINT cron_jobs_retry_backoff_check CHECK (retry_backoff = ANY (ARRAY['fixed', 'linear', 'exponential'])),
    CONSTRAINT cron_jobs_retry_delay_seconds_check CHECK (retry_delay_seconds >= 0 AND retry_delay_seconds <= 86400),
    CONSTRAINT cron_jobs_overlap_policy_check CHECK (overlap_policy = ANY (ARRAY['skip', 'queue', 'allow', 'replace'])),
    CONSTRAINT cron_jobs_catch_up_check CHECK (catch_up = ANY (ARRAY['latest', 'skip', 'all'])),
    CONSTRAINT cron_jobs_catch_up_limit_check CHECK (catch_up_limit >= 1 AND catch_up_limit <= 10000),
    CONSTRAINT cron_jobs_jitter_seconds_check CHECK (jitter_seconds >= 0 AND jitter_seconds <= 86400),
    CONSTRAINT cron_jobs_expected_duration_seconds_check CHECK (expected_duration_seconds > 0 AND expected_duration_seconds <= 31622400),
    CONSTRAINT cron_jobs_max_start_delay_seconds_check CHECK (max_start_delay_seconds > 0 AND max_start_delay_seconds <= 31622400),
    CONSTRAINT cron_jobs_declared_check CHECK (jsonb_typeof(declared) = 'object'),
    CONSTRAINT cron_jobs_unplanned_check CHECK (jsonb_typeof(unplanned) = 'array'),
    CONSTRAINT cron_jobs_pause_check CHECK (NOT enabled OR paused_reason IS NULL AND resume_at IS NULL)
);
CREATE INDEX cron_jobs_plan ON cron_jobs USING btree (next_run_at) WHERE enabled AND invalid_reason IS NULL;
CREATE INDEX cron_jobs_resume ON cron_jobs USING btree (resume_at) WHERE resume_at IS NOT NULL;
CREATE TRIGGER cron_jobs_edited BEFORE INSERT OR UPDATE ON cron_jobs FOR EACH ROW EXECUTE FUNCTION cron_jobs_edited();
CREATE TRIGGER cron_jobs_wake AFTER INSERT OR UPDATE OF cron_expression, timezone, starts_at, ends_at, enabled, resume_at ON cron_jobs FOR EACH STATEMENT EXECUTE FUNCTION cron_jobs_wake();
CREATE TRIGGER cron_jobs_audited AFTER INSERT OR DELETE OR UPDATE OF name, description, cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds, max_retry, retry_backoff, retry_delay_seconds, overlap_policy, catch_up, catch_up_limit, jitter_seconds, starts_at, ends_at, enabled, managed_by ON cron_jobs FOR EACH ROW EXECUTE FUNCTION job_audited_change();


-- job_executions ------------------------------------------------------------------------------------------------------

-- One row per piece of work: PENDING -> RUNNING -> SUCCESS | FAILED | TIMEOUT | CANCELLED. SKIPPED rows say why ticks
-- did not run.
CREATE TABLE job_executions (
    id                  bigint           GENERATED BY DEFAULT AS IDENTITY,  -- What cancel_job() and retry_job() take.
    source              text             NOT NULL DEFAULT 'enqueue',        -- Where it came from: enqueue | tick | manual | backfill |
                                                                            -- message.
    cron_job_id         bigint,                                             -- The cron job (cron_jobs.id) it belongs to; the row may
                                                                            -- outlive it. NULL: it belongs to none.
    handler_name        text             NOT NULL,                          -- The handler that runs it: a registered name, never a path to
                                                                            -- code.
    handler_params      jsonb            NOT NULL DEFAULT '{}',             -- JSON handed to the handler; at most 1 MiB as text.
    queue               text             NOT NULL DEFAULT 'default',        -- The queue it waits under; workers claim from the queues they
                                                                            -- serve.
    priority            smallint         NOT NULL DEFAULT 0,                -- -9 to 9; higher runs first within its queue.
    status              text             NOT NULL DEFAULT 'PENDING',        -- PENDING | RUNNING | SUCCESS | FAILED | TIMEOUT | CANCELLED |
                                                                            -- SKIPPED. FAILED and TIMEOUT are dead letters.
    scheduled_at        timestamptz      NOT NULL DEFAULT job_now(),        -- The nominal tick, or when it was asked for.
    available_at        timestamptz      NOT NULL DEFAULT job_now(),        -- Not to be claimed before this: a delay, a jitter, the backoff
                                                                            -- after a failure.
    timeout_seconds     double precision,                                   -- Seconds an attempt may take. NULL until a claim writes what
                                                                            -- is in force: the handler's own, else 300.
    retry_count         integer          NOT NULL DEFAULT 0,                -- Failed and timed-out attempts so far; at max_retry it is
                                                                            -- final. retry_job() begins at 0 again.
    max_retry           integer,                                            -- How often it may fail in all; 0 and 1: no second try. NULL
                                                                            -- until claimed: the handler's own, else 3.
    retry_backoff       text,                                               -- fixed | linear | exponential: the delay times 1, n, or
                                                                            -- 2^(n-1) after n failures. NULL until claimed, as
                                                                            -- timeout_seconds.
    retry_delay_seconds double precision,                                   -- Seconds, 0 to 86400: what the backoff multiplies; a wait is
                                                                            -- at most a day. NULL until claimed: the handler's, else 2.
    attempt             integer          NOT NULL DEFAULT 0,                -- How often it was claimed, whatever came of it.
    claim_token         uuid,                                               -- The fence: every write of an attempt names it. Kept when
                                                                            -- final, NULL while waiting.
    claimed_by          uuid,                                               -- The worker (job_workers.id) that has it or had it last. Kept
                                                                            -- when final, NULL while waiting.
    started_at          timestamptz,                                        -- While RUNNING: the claim. Afterwards: when the handler began
                                                                            -- its last attempt. NULL: never claimed.
    finished_at         timestamptz,                                        -- When it became final. NULL: PENDING or RUNNING.
    suspect             boolean          NOT NULL DEFAULT false,            -- Its last worker was lost while holding it; false again at its
                                                                            -- next outcome.
    cancel_requested_at timestamptz,                                        -- Somebody asked for it to stop. Success still wins; every
                                                                            -- other outcome becomes CANCELLED.
    cancel_reason       text,                                               -- Why, as cancel_job() was told.
    progress            double precision,                                   -- 0 to 1, as the handler last said. NULL: it said nothing.
    progress_message    text,                                               -- What the handler said with it.
    result              jsonb,                                              -- JSON that the handler returned. NULL: not SUCCESS, or nothing
                                                                            -- was returned.
    error               text,                                               -- The last error, or why it was skipped or cancelled; its first
                                                                            -- line says it. NULL: none, or SUCCESS since.
    errors              jsonb            NOT NULL DEFAULT '[]',             -- Unsuccessful attempts, the first and the last 19: attempt,
                                                                            -- outcome, at, worker, error, traceback. See job_attempts.
    unique_key          text,                                               -- At most one row with this key for as long as unique_until
                                                                            -- says. NULL: no such bound.
    unique_until        text             NOT NULL DEFAULT 'finished',       -- started: until its first claim; finished: until final;
                                                                            -- forever: as long as the row exists.
    concurrency_key     text,                                               -- At most concurrency_limit rows with this key run at once,
                                                                            -- over all workers; cron:ID for ticks that may not overlap.
    concurrency_limit   integer,                                            -- How many rows with this concurrency_key may run at once, 1 or
                                                                            -- more. NULL: 1.
    skipped_count       integer,                                            -- Ticks that a SKIPPED row stands for, up to skipped_until;
                                                                            -- 10000: at least so many. NULL: not SKIPPED.
    skipped_until       timestamptz,                                        -- The last tick a SKIPPED row stands for. NULL: not SKIPPED.
    notify_done         boolean          NOT NULL DEFAULT false,            -- Somebody waits for its end, which is notified.
    lifted              smallint,                                           -- How often it has waited for aging_seconds of its queue, each
                                                                            -- of which lifts priority by 1, up to 9. NULL: never.
    created_at          timestamptz      NOT NULL DEFAULT job_now(),        -- When the row was inserted.
    CONSTRAINT job_executions_pkey PRIMARY KEY (id) WITH (fillfactor=50),
    CONSTRAINT job_executions_source_check CHECK (source = ANY (ARRAY['enqueue', 'tick', 'manual', 'backfill', 'message'])),
    CONSTRAINT job_executions_handler_name_check CHECK (handler_name <> '' AND octet_length(handler_name) <= 200),
    CONSTRAINT job_executions_handler_params_check CHECK (octet_length(handler_params::text) <= 1048576),
    CONSTRAINT job_executions_queue_check CHECK (queue <> '' AND octet_length(queue) <= 200),
    CONSTRAINT job_executions_priority_check CHECK (priority >= '-9'::integer AND priority <= 9),
    CONSTRAINT job_executions_status_check CHECK (status = ANY (ARRAY['PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED', 'SKIPPED'])),
    CONSTRAINT job_executions_times_check CHECK (scheduled_at >= '1970-01-01 00:00:00+00' AND scheduled_at <= '9999-12-30 00:00:00+00' AND available_at >= '1970-01-01 00:00:00+00' AND available_at <= '9999-12-30 00:00:00+00'),
    CONSTRAINT job_executions_timeout_seconds_check CHECK (timeout_seconds > 0 AND timeout_seconds <= 31622400),
    CONSTRAINT job_executions_retry_count_check CHECK (retry_count >= 0),
    CONSTRAINT job_executions_max_retry_check CHECK (max_retry >= 0),
    CONSTRAINT job_executions_retry_backoff_check CHECK (retry_backoff = ANY (ARRAY['fixed', 'linear', 'exponential'])),
    CONSTRAINT job_executions_retry_delay_seconds_check CHECK (retry_delay_seconds >= 0 AND retry_delay_seconds <= 86400),
    CONSTRAINT job_executions_attempt_check CHECK (attempt >= 0),
    CONSTRAINT job_executions_running_check CHECK (status <> 'RUNNING' OR claimed_by IS NOT NULL AND claim_token IS NOT NULL AND started_at IS NOT NULL),
    CONSTRAINT job_executions_waiting_check CHECK ((status <> ALL (ARRAY['PENDING', 'SKIPPED'])) OR claimed_by IS NULL AND claim_token IS NULL),
    CONSTRAINT job_executions_finished_check CHECK ((status = ANY (ARRAY['PENDING', 'RUNNING'])) = (finished_at IS NULL)),
    CONSTRAINT job_executions_progress_check CHECK (progress >= 0 AND progress <= 1),
    CONSTRAINT job_executions_errors_check CHECK (jsonb_typeof(errors) = 'array'),
    CONSTRAINT job_executions_unique_key_check CHECK (unique_key <> '' AND octet_length(unique_key) <= 1024),
    CONSTRAINT job_executions_unique_until_check CHECK (unique_until = ANY (ARRAY['started', 'finished', 'forever'])),
    CONSTRAINT job_executions_concurrency_key_check CHECK (concurrency_key <> '' AND octet_length(concurrency_key) <= 1024),
    CONSTRAINT job_executions_cron_key_check CHECK (cron_job_id IS NOT NULL OR concurrency_key !~ '^(cron|backfill):'),
    CONSTRAINT job_executions_concurrency_limit_check CHECK (concurrency_limit IS NULL OR concurrency_limit >= 1 AND concurrency_key IS NOT NULL),
    CONSTRAINT job_executions_skipped_check CHECK (skipped_count IS NULL OR status = 'SKIPPED' AND skipped_count >= 1)
) WITH (autovacuum_vacuum_scale_factor=0.02, autovacuum_analyze_scale_factor=0.02, autovacuum_vacuum_threshold=1000, autovacuum_analyze_threshold=500);
CREATE UNIQUE INDEX job_executions_tick ON job_executions USING btree (cron_job_id, scheduled_at, (
CASE source
    WHEN 'manual' THEN id
    ELSE 0::bigint
END)) WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED';
CREATE INDEX job_executions_skipped ON job_executions USING btree (cron_job_id, scheduled_at) WHERE status = 'SKIPPED';
CREATE INDEX job_executions_claim ON job_executions USING btree (queue, priority DESC, available_at, id) WHERE status = 'PENDING' AND concurrency_key IS NULL;
CREATE INDEX job_executions_claim_keyed ON job_executions USING btree (queue, priority DESC, available_at, id) WHERE status = 'PENDING' AND concurrency_key IS NOT NULL;
CREATE INDEX job_executions_of_worker ON job_executions USING btree (claimed_by, queue) WHERE status = 'RUNNING';
CREATE INDEX job_executions_of_key ON job_executions USING btree (concurrency_key, status, source) WHERE concurrency_key IS NOT NULL AND (status = ANY (ARRAY['PENDING', 'RUNNING']));
CREATE UNIQUE INDEX job_executions_unique_key ON job_executions USING btree (unique_key) WHERE unique_key IS NOT NULL AND (unique_until = 'forever' OR unique_until = 'finished' AND (status = ANY (ARRAY['PENDING', 'RUNNING'])) OR unique_until = 'started' AND status = 'PENDING' AND attempt = 0);
CREATE INDEX job_executions_dead_letters ON job_executions USING btree (finished_at) WHERE status = ANY (ARRAY['FAILED', 'TIMEOUT']);
CREATE TRIGGER job_executions_wake AFTER INSERT ON job_executions FOR EACH STATEMENT EXECUTE FUNCTION job_executions_wake();
CREATE TRIGGER job_executions_done AFTER UPDATE OF status ON job_executions FOR EACH ROW WHEN (new.notify_done AND new.finished_at IS NOT NULL AND old.finished_at IS NULL) EXECUTE FUNCTION job_executions_done();


-- job_workers ---------------------------------------------------------------------------------------------------------

-- One row per process that claims and runs, made anew at each start. See job_worker_status.
CREATE TABLE job_workers (
    id              uuid        NOT NULL DEFAULT gen_random_uuid(),  -- job_executions.claimed_by names it.
    name            text        NOT NULL,                            -- What it calls itself, for people; several may share it.
    hostname        text        NOT NULL DEFAULT '',                 -- The host it runs on.
    pid             integer,                                         -- Its process id on that host. NULL: it did not say.
    queues          text[]      NOT NULL DEFAULT '{}',               -- The queues it claims from, in rotation; empty for a process that
                                                                     -- only plans.
    pool_size       integer     NOT NULL DEFAULT 0,                  -- How many executions it runs at once.
    status          text        NOT NULL DEFAULT 'ACTIVE',           -- ACTIVE (claims) | DRAINING (finishes what it has) | STOPPED (ended
                                                                     -- well) | LOST (its lease ran out). The last two are final.
    started_at      timestamptz NOT NULL DEFAULT job_now(),          -- When it registered.
    heartbeat_at    timestamptz NOT NULL DEFAULT job_now(),          -- The last sign of life.
    lease_until     timestamptz NOT NULL,                            -- Its claims are valid while heartbeat_at <= job_now() < lease_until.
    wake_until      timestamptz,                                     -- It sleeps and wants to be notified of new work until then; renewed
                                                                     -- while idle, never cleared.
    running_count   integer     NOT NULL DEFAULT 0,                  -- Attempts running at the last heartbeat.
    succeeded_count bigint      NOT NULL DEFAULT 0,                  -- Attempts that succeeded, up to the last heartbeat.
    failed_count    bigint      NOT NULL DEFAULT 0,                  -- Attempts that did not succeed, up to the last heartbeat.
    loops           jsonb,                                           -- Loop -> {"age": seconds since it last succeeded, "limit": what is
                                                                     -- too old}, at the last heartbeat. NULL: not told.
    version         text        NOT NULL DEFAULT '',                 -- The version of the package it runs.
    CONSTRAINT job_workers_pkey PRIMARY KEY (id),
    CONSTRAINT job_workers_status_check CHECK (status = ANY (ARRAY['ACTIVE', 'DRAINING', 'STOPPED', 'LOST']))
) WITH (fillfactor=50);


-- job_queues ----------------------------------------------------------------------------------------------------------

-- Settings of queues that have any; a queue needs no row to exist.
CREATE TABLE job_queues (
    name                 text             NOT NULL,                -- The queue, as executions and workers name it.
    paused               boolean          NOT NULL DEFAULT false,  -- Nothing is claimed from it while true and resume_at is not past.
    paused_reason        text,                                     -- Why it is paused, for people.
    resume_at            timestamptz,                              -- The pause ends by itself then; NULL: when somebody resumes it.
    max_running          integer,                                  -- At most this many are RUNNING at once, over all workers. NULL: no
                                                                   -- limit.
    key_limit            integer,                                  -- The concurrency_limit of its keyed rows that name none. NULL: 1.
    rate_limit           integer,                                  -- At most this many claims in any rate_period_seconds, retries included.
                                                                   -- NULL: no limit.
    rate_period_seconds  double precision,                         -- Seconds, above 0, up to 31622400 (366 days), that rate_limit is about.
                                                                   -- NULL: no limit.
    rate_next_at         timestamptz,                              -- Kept by the claim: when rate_limit allows the next one. NULL or past:
                                                                   -- at once.
    rate_taken_at        timestamptz[],                            -- Kept by the claim: the ends of the hundredths of rate_period_seconds
                                                                   -- in which something was claimed lately.
    rate_taken           integer[],                                -- Kept by the claim: how much was claimed in each of them.
    max_pending          integer,                                  -- enqueue_job() refuses while so many rows of it are PENDING, delayed
                                                                   -- ones included. NULL: no limit.
    pause_after_failures integer,                                  -- A worker that sees so many attempts of it fail in a row pauses it.
                                                                   -- NULL: none does.
    pause_seconds        double precision,                         -- How long such a pause lasts: seconds, above 0, up to 31622400 (366
                                                                   -- days). NULL: until somebody resumes it.
    aging_seconds        double precision,                         -- Each time that a row has waited for so long, its priority goes up by
                                                                   -- 1, up to 9: 1 to 31622400. NULL: never.
    aged_until           timestamptz,                              -- Kept by the lifter: it has lifted what had waited for so long by then.
    keep_days            double precision,                         -- Days that its final rows are kept, infinity for ever; NULL: as the
                                                                   -- setting "retention" says for their status.
    keep_last            integer,                                  -- How many of its newest final rows are kept; NULL: as the setting
                                                                   -- "retention" says for their status.
    CONSTRAINT job_queues_pkey PRIMARY KEY (name),
    CONSTRAINT job_queues_name_check CHECK (name <> '' AND octet_length(name) <= 200),
    CONSTRAINT job_queues_max_running_check CHECK (max_running >= 1),
    CONSTRAINT job_queues_key_limit_check CHECK (key_limit >= 1),
    CONSTRAINT job_queues_rate_limit_check CHECK (rate_limit >= 1),
    CONSTRAINT job_queues_rate_period_seconds_check CHECK (rate_period_seconds > 0 AND rate_period_seconds <= 31622400),
    CONSTRAINT job_queues_rate_check CHECK ((rate_limit IS NULL) = (rate_period_seconds IS NULL)),
    CONSTRAINT job_queues_max_pending_check CHECK (max_pending >= 1),
    CONSTRAINT job_queues_pause_after_failures_check CHECK (pause_after_failures >= 1),
    CONSTRAINT job_queues_pause_seconds_check CHECK (pause_seconds > 0 AND pause_seconds <= 31622400),
    CONSTRAINT job_queues_aging_seconds_check CHECK (aging_seconds >= 1 AND aging_seconds <= 31622400),
    CONSTRAINT job_queues_keep_check CHECK (keep_days >= 0 AND keep_last >= 0)
);
CREATE TRIGGER job_queues_audited AFTER INSERT OR DELETE OR UPDATE OF name, paused, paused_reason, resume_at, max_running, key_limit, rate_limit, rate_period_seconds, max_pending, pause_after_failures, pause_seconds, keep_days, keep_last ON job_queues FOR EACH ROW EXECUTE FUNCTION job_audited_change();


-- job_installation ----------------------------------------------------------------------------------------------------

-- One row: the name by which these tables know their own prepared transactions in other databases.
CREATE TABLE job_installation (
    only_row   boolean     NOT NULL DEFAULT true,               -- Always true, so that there is only one row.
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),  -- In the name of each prepared transaction of ours. A copy of these tables
                                                                -- for another use needs another one.
    created_at timestamptz NOT NULL DEFAULT job_now(),          -- When the tables were made.
    CONSTRAINT job_installation_pkey PRIMARY KEY (only_row),
    CONSTRAINT job_installation_only_row_check CHECK (only_row)
);


-- job_transactions ----------------------------------------------------------------------------------------------------

-- The decision of each transaction over several databases: whoever inserts the gid first has decided.
CREATE TABLE job_transactions (
    gid          text        NOT NULL,                    -- sched:<installation>:<uuid>; in pg_prepared_xacts of participant n with :n at
                                                          -- its end.
    decision     text        NOT NULL,                    -- COMMIT | ABORT: what every participant has to do.
    participants text[]      NOT NULL DEFAULT '{}',       -- The names of the databases that prepared.
    execution_id bigint,                                  -- The execution (job_executions.id) that it was part of. NULL: none.
    claim_token  uuid,                                    -- The claim of that execution whose outcome it carries. NULL: none.
    decided_at   timestamptz NOT NULL DEFAULT job_now(),  -- When the decision was made.
    settled_at   timestamptz,                             -- When every participant had carried the decision out. NULL: not yet.
    CONSTRAINT job_transactions_pkey PRIMARY KEY (gid),
    CONSTRAINT job_transactions_decision_check CHECK (decision = ANY (ARRAY['COMMIT', 'ABORT']))
);
CREATE INDEX job_transactions_unsettled ON job_transactions USING btree (gid) WHERE settled_at IS NULL;


-- job_messages --------------------------------------------------------------------------------------------------------

-- Messages already turned into executions, so that a redelivery makes no second one.
CREATE TABLE job_messages (
    source       text        NOT NULL,                    -- The message queue it came from.
    message_id   text        NOT NULL,                    -- The id that it was given; made up for one that came without.
    execution_id bigint,                                  -- The execution (job_executions.id) it became; the row may be gone. NULL: none.
    received_at  timestamptz NOT NULL DEFAULT job_now(),  -- When it became an execution.
    CONSTRAINT job_messages_pkey PRIMARY KEY (source, message_id),
    CONSTRAINT job_messages_message_id_check CHECK (octet_length(source) <= 200 AND octet_length(message_id) <= 1024)
);


-- job_tokens ----------------------------------------------------------------------------------------------------------

-- Who may use the HTTP API. `scheduler web token add` makes one.
CREATE TABLE job_tokens (
    name       text        NOT NULL,                       -- Whose it is; what the audit calls them.
    role       text        NOT NULL,                       -- viewer (no params, results, errors) | operator (also enqueues, calls, cancels,
                                                           -- retries, pauses) | admin (all).
    digest     bytea       NOT NULL,                       -- SHA-256 of the token, which itself is nowhere.
    created_by text        NOT NULL DEFAULT CURRENT_USER,  -- The database role that inserted it.
    created_at timestamptz NOT NULL DEFAULT job_now(),     -- When it was made.
    expires_at timestamptz,                                -- Not taken from then on. NULL: until it is removed.
    CONSTRAINT job_tokens_pkey PRIMARY KEY (name),
    CONSTRAINT job_tokens_digest_key UNIQUE (digest),
    CONSTRAINT job_tokens_name_check CHECK (name <> '' AND octet_length(name) <= 200),
    CONSTRAINT job_tokens_role_check CHECK (role = ANY (ARRAY['viewer', 'operator', 'admin'])),
    CONSTRAINT job_tokens_digest_check CHECK (octet_length(digest) = 32)
);
CREATE TRIGGER job_tokens_audited AFTER INSERT OR DELETE OR UPDATE ON job_tokens FOR EACH ROW EXECUTE FUNCTION job_audited_change();


-- job_requests --------------------------------------------------------------------------------------------------------

-- Requests with an Idempotency-Key and what they enqueued, so that the same again enqueues nothing more.
CREATE TABLE job_requests (
    scope         text        NOT NULL,                         -- Whose key it is.
    key           text        NOT NULL,                         -- The Idempotency-Key.
    digest        bytea       NOT NULL,                         -- SHA-256 of what was asked for: the same key with something else is
                                                                -- refused.
    execution_ids bigint[]    NOT NULL DEFAULT '{}'::bigint[],  -- What it enqueued (job_executions.id), in its order; the rows may be gone.
    created_at    timestamptz NOT NULL DEFAULT job_now(),       -- When it was asked for first.
    CONSTRAINT job_requests_pkey PRIMARY KEY (scope, key),
    CONSTRAINT job_requests_key_check CHECK (octet_length(scope) <= 400 AND octet_length(key) <= 1024)
);


-- job_audit -----------------------------------------------------------------------------------------------------------

-- Who did what, by SQL, by commands and over HTTP; written by triggers and functions. See job_audit_log.
CREATE TABLE job_audit (
    id          bigint      GENERATED BY DEFAULT AS IDENTITY,  -- In the order in which it was done.
    at          timestamptz NOT NULL DEFAULT job_now(),        -- When.
    role        text        NOT NULL DEFAULT CURRENT_USER,     -- The database role.
    actor       text,                                          -- Who that was, as the session's setting scheduler.actor says: a token's
                                                               -- name, or a person's. NULL: it does not say.
    application text        NOT NULL DEFAULT '',               -- The application_name of the session.
    action      text        NOT NULL,                          -- What, such as cron_job.edit, execution.retry, queue.pause, token.add;
                                                               -- docs/http-api.md lists them.
    target      text        NOT NULL,                          -- With what: the name of the cron job, queue or token, or the id of the
                                                               -- execution.
    changes     jsonb,                                         -- Column -> [before, after], or what else there is to say. Of params only
                                                               -- that they changed. NULL: nothing more.
    CONSTRAINT job_audit_pkey PRIMARY KEY (id)
);


-- job_alerts ----------------------------------------------------------------------------------------------------------

-- What was wrong, from when to when, as the rules in the settings have it; open while closed_at IS NULL.
CREATE TABLE job_alerts (
    id           bigint           GENERATED BY DEFAULT AS IDENTITY,  -- Executions of scheduler.alert name it, which tell of it.
    rule         text             NOT NULL,                          -- dead_letter | failing_cron_job | late_cron_job | slow_cron_job |
                                                                     -- backlog | stuck_loop | in_doubt.
    subject      text             NOT NULL,                          -- The handler, cron job, queue, loop of a worker, or transaction that
                                                                     -- it is about; one is open for each.
    message      text             NOT NULL,                          -- What is wrong, in a sentence, as it was last seen.
    number       double precision NOT NULL,                          -- How many or how much, as it was last seen: executions, failures, or
                                                                     -- seconds.
    opened_at    timestamptz      NOT NULL DEFAULT job_now(),        -- When it was first seen.
    last_seen_at timestamptz      NOT NULL DEFAULT job_now(),        -- When it was last seen.
    closed_at    timestamptz,                                        -- When it had not been seen for long enough to be over. NULL: it is
                                                                     -- open.
    CONSTRAINT job_alerts_pkey PRIMARY KEY (id),
    CONSTRAINT job_alerts_subject_check CHECK (octet_length(rule) <= 200 AND octet_length(subject) <= 1024)
);
CREATE UNIQUE INDEX job_alerts_open ON job_alerts USING btree (rule, subject) WHERE closed_at IS NULL;


-- Functions -----------------------------------------------------------------------------------------------------------

-- Used inside others: the NOTIFY channel of this schema. Payloads are empty, for a wake-up is only a hint to look.
CREATE FUNCTION job_channel()
 RETURNS text
 LANGUAGE sql
 STABLE
RETURN ('scheduler_'::text || ((SELECT n.nspname FROM (pg_class c JOIN pg_namespace n ON ((n.oid = c.relnamespace))) WHERE (c.oid = ('job_executions'::regclass)::oid)))::text);

-- Used inside others: writes down that the caller's role did something.
CREATE FUNCTION job_audited(action text, target text, changes jsonb DEFAULT NULL)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path FROM CURRENT
AS $function$
    INSERT INTO job_audit (role, actor, application, action, target, changes)
    VALUES (CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END,
            left(nullif(current_setting('scheduler.actor', true), ''), 200), current_setting('application_name'),
            job_audited.action, coalesce(job_audited.target, ''), job_audited.changes)
$function$;

-- Used inside others: a question after the name that shares the most pairs of letters with a mistyped one; empty where
-- none is like it.
CREATE FUNCTION job_did_you_mean(word text, names text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
RETURN COALESCE((SELECT (('Did you mean "'::text || close.name) || '"? '::text) FROM (SELECT n.name, ((((SELECT count(*) AS count FROM (SELECT substr(((' '::text || lower("left"(job_did_you_mean.word, 200))) || ' '::text), place.place, 2) AS substr FROM generate_series(1, (length("left"(job_did_you_mean.word, 200)) + 1)) place(place) INTERSECT SELECT substr(((' '::text || lower(n.name)) || ' '::text), place.place, 2) AS substr FROM generate_series(1, (length(n.name) + 1)) place(place)) shared))::numeric * 2.0) / (((length("left"(job_did_you_mean.word, 200)) + length(n.name)) + 2))::numeric) AS likeness FROM unnest(job_did_you_mean.names) n(name)) close WHERE (close.likeness >= 0.4) ORDER BY close.likeness DESC, close.name LIMIT 1), ''::text);

-- Used inside others: cron_jobs.id by name; a name that none has is an error that says which was meant.
CREATE FUNCTION cron_job_named(name text)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    found_id bigint;
BEGIN
    SELECT c.id INTO found_id FROM cron_jobs c WHERE c.name = cron_job_named.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no cron job is named "%"', cron_job_named.name
            USING ERRCODE = 'no_data_found',
                  HINT = job_did_you_mean(cron_job_named.name, ARRAY(SELECT c.name FROM cron_jobs c)) || 'SELECT name FROM cron_jobs lists them.';
    END IF;
    RETURN found_id;
END $function$;

-- Every queue that settings, a worker, a cron job, a waiting or running execution, or one of the newest 10,000 names;
-- queues exist by being named.
CREATE FUNCTION job_queue_names()
 RETURNS SETOF text
 LANGUAGE sql
 STABLE
 SET search_path FROM CURRENT
AS $function$
    -- A step of an index for each name, however many rows wait.
    WITH RECURSIVE unkeyed AS (
        SELECT (SELECT min(e.queue) FROM job_executions e WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL) AS name
        UNION ALL
        SELECT (SELECT min(e.queue) FROM job_executions e WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL AND e.queue > u.name)
        FROM unkeyed u WHERE u.name IS NOT NULL
    ), keyed AS (
        SELECT (SELECT min(e.queue) FROM job_executions e WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL) AS name
        UNION ALL
        SELECT (SELECT min(e.queue) FROM job_executions e WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL AND e.queue > k.name)
        FROM keyed k WHERE k.name IS NOT NULL
    )
    SELECT u.name FROM unkeyed u WHERE u.name IS NOT NULL
    UNION SELECT k.name FROM keyed k WHERE k.name IS NOT NULL
    UNION SELECT e.queue FROM job_executions e WHERE e.status = 'RUNNING'
    UNION SELECT n.queue FROM (SELECT e.queue FROM job_executions e ORDER BY e.id DESC LIMIT 10000) n
    UNION SELECT q.name FROM job_queues q
    UNION SELECT c.queue FROM cron_jobs c
    UNION SELECT unnest(w.queues) FROM job_workers w;
$function$;

-- Used inside others, with the rights of its owner: what waits and holds a unique_key waits anew. False: it waits no
-- more. For whoever may insert executions.
CREATE FUNCTION job_restart_delay(id bigint, unique_key text, not_before timestamptz)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    caller text := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
    -- Whoever may enqueue may have what holds the key wait anew, as if it were enqueued now; no other change of a row is theirs.
    IF NOT has_column_privilege(caller, 'job_executions', 'unique_key', 'INSERT') THEN
        RAISE EXCEPTION 'permission denied for table job_executions' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- One that waits for its next try keeps at least its backoff.
    UPDATE job_executions e SET available_at = CASE e.attempt WHEN 0 THEN not_before ELSE greatest(e.available_at, not_before) END
    WHERE e.id = job_restart_delay.id AND e.unique_key = job_restart_delay.unique_key AND e.status = 'PENDING';
    RETURN FOUND;
END $function$;

-- Enqueues one execution and returns its id; where unique_key is taken, on_conflict says: return existing (the id of
-- the holder), error, or restart delay (a waiting holder waits anew). SQLSTATE QFULL: the queue's max_pending is
-- reached. SELECT enqueue_job('email', '{"to": "ada@example.com"}', delay_seconds => 60);
CREATE FUNCTION enqueue_job(
    handler_name text,
    handler_params jsonb DEFAULT '{}',
    queue text DEFAULT 'default',
    priority integer DEFAULT 0,
    delay_seconds double precision DEFAULT 0,
    available_at timestamptz DEFAULT NULL,
    timeout_seconds double precision DEFAULT NULL,
    max_retry integer DEFAULT NULL,
    retry_backoff text DEFAULT NULL,
    retry_delay_seconds double precision DEFAULT NULL,
    unique_key text DEFAULT NULL,
    unique_until text DEFAULT 'finished',
    concurrency_key text DEFAULT NULL,
    concurrency_limit integer DEFAULT NULL,
    on_conflict text DEFAULT 'return existing',
    notify_done boolean DEFAULT false
)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    new_id bigint;
    most integer := (SELECT q.max_pending FROM job_queues q WHERE q.name = enqueue_job.queue);
    not_before timestamptz;
    holder record;
    refusal text[] := CASE
        WHEN (octet_length(handler_name) BETWEEN 1 AND 200) IS NOT TRUE
            THEN ARRAY[format('no handler can be named "%s"', handler_name), 'Write the name that a handler is registered under, of 1 to 200 bytes.']
        WHEN handler_params IS NULL THEN ARRAY['handler_params is NULL', 'Leave it out for {}.']
        WHEN (octet_length(queue) BETWEEN 1 AND 200) IS NOT TRUE
            THEN ARRAY[format('no queue can be named "%s"', queue), 'Write a name of 1 to 200 bytes, or leave it out for default.']
        WHEN (priority BETWEEN -9 AND 9) IS NOT TRUE
            THEN ARRAY[format('priority %s is out of range', coalesce(priority::text, 'NULL')), 'Write -9 to 9; higher runs first.']
        WHEN (delay_seconds BETWEEN 0 AND 3155760000) IS NOT TRUE
            THEN ARRAY[format('delay_seconds %s is out of range', coalesce(delay_seconds::text, 'NULL')), 'Write seconds, 0 to 3155760000 (100 years).']
        WHEN (available_at + make_interval(secs => delay_seconds) BETWEEN '1970-01-01 00:00:00+00' AND '9999-12-30 00:00:00+00') IS FALSE
            THEN ARRAY[format('available_at %s is out of range', available_at), 'Write a time from 1970 to 9999.']
        WHEN (timeout_seconds > 0 AND timeout_seconds <= 31622400) IS FALSE
            THEN ARRAY[format('timeout_seconds %s is out of range', timeout_seconds), 'Write seconds, more than 0, up to 31622400 (366 days).']
        WHEN (max_retry >= 0) IS FALSE
            THEN ARRAY[format('max_retry %s is less than 0', max_retry), 'Write how often it may fail in all; 0 and 1: no second try.']
        WHEN (retry_backoff IN ('fixed', 'linear', 'exponential')) IS FALSE
            THEN ARRAY[format('retry_backoff "%s" is not known', retry_backoff), 'Write fixed, linear or exponential.']
        WHEN (retry_delay_seconds BETWEEN 0 AND 86400) IS FALSE
            THEN ARRAY[format('retry_delay_seconds %s is out of range', retry_delay_seconds), 'Write seconds, 0 to 86400 (a day).']
        WHEN (octet_length(unique_key) <= 1024) IS FALSE THEN ARRAY['unique_key is too long', 'Write at most 1024 bytes, such as a hash of it.']
        WHEN (unique_until IN ('started', 'finished', 'forever')) IS NOT TRUE
            THEN ARRAY[format('unique_until "%s" is not known', unique_until), 'Write started, finished or forever.']
        WHEN (octet_length(concurrency_key) BETWEEN 1 AND 1024) IS FALSE
            THEN ARRAY['concurrency_key is empty or too long', 'Write 1 to 1024 bytes; leave it out for none.']
        WHEN concurrency_key ~ '^(cron|backfill):'
            THEN ARRAY[format('concurrency_key "%s" is one of a cron job', concurrency_key), 'Write one that begins with neither cron: nor backfill:.']
        WHEN (concurrency_limit >= 1) IS FALSE
            THEN ARRAY[format('concurrency_limit %s is less than 1', concurrency_limit), 'Write how many may run at once.']
        WHEN concurrency_limit IS NOT NULL AND concurrency_key IS NULL
            THEN ARRAY['concurrency_limit is for a concurrency_key, and there is none', 'Write both, or neither.']
        WHEN (on_conflict IN ('return existing', 'error', 'restart delay')) IS NOT TRUE
            THEN ARRAY[format('on_conflict "%s" is not known', on_conflict), 'Write return existing, error or restart delay.']
        WHEN on_conflict <> 'return existing' AND unique_key IS NULL
            THEN ARRAY[format('on_conflict "%s" is for a unique_key, and there is none', on_conflict), 'Write both, or neither.']
        WHEN notify_done IS NULL THEN ARRAY['notify_done is NULL', 'Write true or false.']
    END;
BEGIN
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', refusal[1] USING ERRCODE = 'invalid_parameter_value', HINT = refusal[2];
    END IF;
    IF most IS NOT NULL THEN    -- asked apart: with most NULL the question below would be planned anew at each call
        IF most <= (SELECT count(*) FROM (
            -- Each half is counted by one index, and no further than it matters.
            (SELECT FROM job_executions e WHERE e.queue = enqueue_job.queue AND e.status = 'PENDING' AND e.concurrency_key IS NULL LIMIT most)
            UNION ALL
            (SELECT FROM job_executions e WHERE e.queue = enqueue_job.queue AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL LIMIT most)
        ) AS waiting) AND NOT EXISTS (
            SELECT FROM job_executions e
            WHERE e.unique_key = enqueue_job.unique_key
              AND (e.unique_until = 'forever' OR (e.unique_until = 'finished' AND e.status IN ('PENDING', 'RUNNING'))
                   OR (e.unique_until = 'started' AND e.status = 'PENDING' AND e.attempt = 0))
        ) THEN
            RAISE EXCEPTION 'queue "%" is full: % wait, as many as its max_pending allows', enqueue_job.queue, most
                USING ERRCODE = 'QFULL', HINT = 'Enqueue again when some of them have begun.';
        END IF;
    END IF;
    FOR i IN 1..10 LOOP
        not_before := coalesce(enqueue_job.available_at, job_now()) + make_interval(secs => enqueue_job.delay_seconds);
        INSERT INTO job_executions (handler_name, handler_params, queue, priority, available_at, timeout_seconds, max_retry, retry_backoff,
                                    retry_delay_seconds, unique_key, unique_until, concurrency_key, concurrency_limit, notify_done)
        VALUES (enqueue_job.handler_name, enqueue_job.handler_params, enqueue_job.queue, enqueue_job.priority, not_before,
                enqueue_job.timeout_seconds, enqueue_job.max_retry, enqueue_job.retry_backoff, enqueue_job.retry_delay_seconds,
                enqueue_job.unique_key, enqueue_job.unique_until, enqueue_job.concurrency_key, enqueue_job.concurrency_limit,
                enqueue_job.notify_done)
        ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL
            AND (unique_until = 'forever' OR (unique_until = 'finished' AND status IN ('PENDING', 'RUNNING'))
                 OR (unique_until = 'started' AND status = 'PENDING' AND attempt = 0))
        DO NOTHING
        RETURNING id INTO new_id;
        EXIT WHEN new_id IS NOT NULL;
        SELECT e.id, e.status INTO holder FROM job_executions e
        WHERE e.unique_key = enqueue_job.unique_key
          AND (e.unique_until = 'forever' OR (e.unique_until = 'finished' AND e.status IN ('PENDING', 'RUNNING'))
               OR (e.unique_until = 'started' AND e.status = 'PENDING' AND e.attempt = 0));
        CONTINUE WHEN NOT FOUND;    -- the row in the way has just left; try again
        IF on_conflict = 'error' THEN
            RAISE EXCEPTION 'execution % (%) holds the unique_key "%"', holder.id, holder.status, enqueue_job.unique_key
                USING ERRCODE = 'unique_violation', HINT = 'Enqueue it when that one has let go of it, or use another key.';
        ELSIF on_conflict = 'restart delay' AND holder.status = 'PENDING' THEN
            CONTINUE WHEN NOT job_restart_delay(holder.id, enqueue_job.unique_key, not_before);   -- it has just been claimed: it may still hold the key, or not
        END IF;
        new_id := holder.id;
        EXIT;
    END LOOP;
    IF new_id IS NULL THEN
        RAISE EXCEPTION 'unique_key "%" was taken and left ten times in a row', enqueue_job.unique_key USING ERRCODE = 'serialization_failure', HINT = 'Enqueue again.';
    END IF;
    RETURN new_id;
END $function$;

-- Cancels a waiting execution at once and asks a running one to stop. Returns the status it has now; a final one keeps
-- its own.
CREATE FUNCTION cancel_job(id bigint, reason text DEFAULT NULL)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    found_status text;
BEGIN
    UPDATE job_executions e
    SET status = CASE e.status WHEN 'PENDING' THEN 'CANCELLED' ELSE e.status END,
        finished_at = CASE e.status WHEN 'PENDING' THEN job_now() END,
        error = CASE e.status WHEN 'PENDING' THEN coalesce(cancel_job.reason, 'cancelled while waiting') ELSE e.error END,
        cancel_requested_at = coalesce(e.cancel_requested_at, job_now()),
        cancel_reason = coalesce(cancel_job.reason, e.cancel_reason)
    WHERE e.id = cancel_job.id AND e.status IN ('PENDING', 'RUNNING')
    RETURNING e.status INTO found_status;
    IF found_status IS NOT NULL THEN
        PERFORM job_audited('execution.cancel', cancel_job.id::text, jsonb_build_object('status', found_status, 'reason', cancel_job.reason));
    END IF;
    IF found_status = 'RUNNING' THEN
        PERFORM pg_notify(job_channel(), '');
    ELSIF found_status IS NULL THEN
        SELECT e.status INTO found_status FROM job_executions e WHERE e.id = cancel_job.id;
    END IF;
    IF found_status IS NULL THEN
        RAISE EXCEPTION 'no execution has the id %', coalesce(cancel_job.id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'SELECT id, handler_name, status FROM job_executions ORDER BY id DESC LIMIT 20 lists the newest.';
    END IF;
    RETURN found_status;
END $function$;

-- Sends a final execution back to PENDING with all its tries; attempt and errors are kept, and so are its params unless
-- others are given. Returns the status it has now: SKIPPED stays, and so does, with a warning, one whose unique_key
-- another row holds.
CREATE FUNCTION retry_job(id bigint, handler_params jsonb DEFAULT NULL)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    execution record;
    holder record;
BEGIN
    SELECT e.status, e.unique_key, e.unique_until = 'forever' OR e.unique_until = 'finished' OR e.attempt = 0 AS returns_to_its_key INTO execution
    FROM job_executions e WHERE e.id = retry_job.id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no execution has the id %', coalesce(retry_job.id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'SELECT id, handler_name, status FROM job_executions ORDER BY id DESC LIMIT 20 lists the newest.';
    END IF;
    IF execution.status NOT IN ('SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED') THEN
        RETURN execution.status;
    END IF;
    IF execution.returns_to_its_key THEN
        -- In the words of job_executions_unique_key, so that it is used. A holder that comes at this very moment is refused by the index itself.
        SELECT e.id, e.status INTO holder FROM job_executions e
        WHERE e.unique_key = execution.unique_key AND e.id <> retry_job.id
          AND (e.unique_until = 'forever' OR (e.unique_until = 'finished' AND e.status IN ('PENDING', 'RUNNING'))
               OR (e.unique_until = 'started' AND e.status = 'PENDING' AND e.attempt = 0));
        IF FOUND THEN
            RAISE WARNING 'execution % stays %: execution % (%) holds its unique_key "%"', retry_job.id, execution.status, holder.id, holder.status, execution.unique_key
                USING ERRCODE = 'unique_violation', HINT = 'Retry it when that one is final, or cancel that one.';
            RETURN execution.status;
        END IF;
    END IF;
    UPDATE job_executions e
    SET status = 'PENDING', available_at = greatest(e.available_at, job_now()), retry_count = 0, suspect = false, claim_token = NULL, claimed_by = NULL,
        started_at = NULL, finished_at = NULL, cancel_requested_at = NULL, cancel_reason = NULL, progress = NULL, progress_message = NULL,
        result = NULL, error = NULL
    WHERE e.id = retry_job.id;
    IF retry_job.handler_params IS NOT NULL THEN  -- apart, for a worker may send back and not change what is run
        UPDATE job_executions e SET handler_params = retry_job.handler_params WHERE e.id = retry_job.id;
    END IF;
    PERFORM job_audited('execution.retry', retry_job.id::text, jsonb_build_object('status', jsonb_build_array(execution.status, 'PENDING'))
        || CASE WHEN retry_job.handler_params IS NULL THEN '{}' ELSE jsonb_build_object('handler_params', 'changed') END);
    PERFORM pg_notify(job_channel(), '');
    RETURN 'PENDING';
END $function$;

-- Enqueues an execution of a cron job now, apart from its schedule and also while it is paused; returns its id. It
-- waits where ticks may not overlap.
CREATE FUNCTION run_cron_job(name text)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO job_executions (source, cron_job_id, handler_name, handler_params, queue, priority, timeout_seconds, max_retry, retry_backoff,
                                retry_delay_seconds, concurrency_key, concurrency_limit)
    SELECT 'manual', c.id, c.handler_name, c.handler_params, c.queue, c.priority, c.timeout_seconds, c.max_retry, c.retry_backoff,
           c.retry_delay_seconds, CASE WHEN c.overlap_policy <> 'allow' THEN 'cron:' || c.id END, CASE WHEN c.overlap_policy <> 'allow' THEN 1 END
    FROM cron_jobs c WHERE c.id = cron_job_named(run_cron_job.name)
    RETURNING id INTO new_id;
    PERFORM job_audited('cron_job.run', run_cron_job.name, jsonb_build_object('execution_id', new_id));
    RETURN new_id;
END $function$;

-- Stops planning a cron job until resume_cron_job() or resume_at; what is planned already still runs. SELECT
-- pause_cron_job('nightly', 'the source is down', now() + interval '1 day');
CREATE FUNCTION pause_cron_job(
    name text,
    reason text DEFAULT NULL,
    resume_at timestamptz DEFAULT NULL
)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
BEGIN
    IF pause_cron_job.resume_at <= job_now() THEN
        RAISE EXCEPTION 'resume_at % is past', pause_cron_job.resume_at
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a time to come, or leave it out: then resume_cron_job() ends the pause.';
    END IF;
    UPDATE cron_jobs c SET enabled = false, paused_reason = pause_cron_job.reason, resume_at = pause_cron_job.resume_at
    WHERE c.id = cron_job_named(pause_cron_job.name);
END $function$;

-- Plans a cron job again from now on; what fell into the pause is not made up for.
CREATE FUNCTION resume_cron_job(name text)
 RETURNS void
 LANGUAGE sql
 SET search_path FROM CURRENT
AS $function$
    UPDATE cron_jobs c SET enabled = true WHERE c.id = cron_job_named(resume_cron_job.name);
$function$;

-- What accounts for the newest tick of a cron job at or before an instant; covers is false where the instant itself was
-- no tick, or is not planned yet. No row: no tick so far. Two index probes, however long the history.
CREATE FUNCTION cron_job_tick_at(name text, at timestamptz DEFAULT job_now())
 RETURNS TABLE(covers boolean, scheduled_at timestamp with time zone, skipped_until timestamp with time zone, execution_id bigint, status text, started_at timestamp with time zone, finished_at timestamp with time zone, why text)
 LANGUAGE plpgsql
 STABLE
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    found_id bigint := cron_job_named(cron_job_tick_at.name);
BEGIN
    RETURN QUERY
        SELECT cron_job_tick_at.at <= coalesce(t.skipped_until, t.scheduled_at), t.scheduled_at, t.skipped_until, t.id, t.status, t.started_at, t.finished_at,
               split_part(t.error, E'\n', 1)
        FROM (
            (SELECT e.id, e.status, e.scheduled_at, e.skipped_until, e.started_at, e.finished_at, e.error FROM job_executions e
             WHERE e.cron_job_id = found_id AND e.status <> 'SKIPPED' AND e.source <> 'manual' AND e.scheduled_at <= cron_job_tick_at.at
             ORDER BY e.scheduled_at DESC LIMIT 1)
            UNION ALL
            (SELECT e.id, e.status, e.scheduled_at, e.skipped_until, e.started_at, e.finished_at, e.error FROM job_executions e
             WHERE e.cron_job_id = found_id AND e.status = 'SKIPPED' AND e.scheduled_at <= cron_job_tick_at.at
             ORDER BY e.scheduled_at DESC LIMIT 1)
        ) t
        ORDER BY t.scheduled_at DESC LIMIT 1;
END $function$;

-- Nothing more is claimed from the queue until resume_queue() or resume_at; what runs goes on. Warns of a name that
-- nothing has. SELECT pause_queue('mail', 'provider is down', now() + interval '1 hour');
CREATE FUNCTION pause_queue(
    name text,
    reason text DEFAULT NULL,
    resume_at timestamptz DEFAULT NULL
)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    known text[] := ARRAY(SELECT job_queue_names());
BEGIN
    IF (octet_length(pause_queue.name) BETWEEN 1 AND 200) IS NOT TRUE THEN
        RAISE EXCEPTION 'no queue can be named "%"', pause_queue.name USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a name of 1 to 200 bytes.';
    ELSIF pause_queue.resume_at <= job_now() THEN
        RAISE EXCEPTION 'resume_at % is past', pause_queue.resume_at
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a time to come, or leave it out: then resume_queue() ends the pause.';
    ELSIF pause_queue.name <> ALL (known) THEN
        RAISE WARNING 'nothing names a queue "%" so far; it is paused for whoever comes', pause_queue.name
            USING HINT = job_did_you_mean(pause_queue.name, known) || 'SELECT queue FROM job_queue_status lists those in use. If this one was mistyped: DELETE FROM job_queues WHERE name = ' || quote_literal(pause_queue.name) || ';';
    END IF;
    INSERT INTO job_queues AS q (name, paused, paused_reason, resume_at) VALUES (pause_queue.name, true, pause_queue.reason, pause_queue.resume_at)
    ON CONFLICT (name) DO UPDATE SET paused = true, paused_reason = excluded.paused_reason, resume_at = excluded.resume_at;
END $function$;

-- Ends the pause of a queue; harmless where it is not paused.
CREATE FUNCTION resume_queue(name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    known text[] := ARRAY(SELECT job_queue_names());
BEGIN
    IF resume_queue.name = ANY (known) IS NOT TRUE THEN
        RAISE EXCEPTION 'nothing names a queue "%"', resume_queue.name
            USING ERRCODE = 'no_data_found', HINT = job_did_you_mean(resume_queue.name, known) || 'SELECT queue FROM job_queue_status lists those in use.';
    END IF;
    UPDATE job_queues q SET paused = false, paused_reason = NULL, resume_at = NULL WHERE q.name = resume_queue.name;
    PERFORM pg_notify(job_channel(), '');
END $function$;

-- Sets the limits that are named, columns of job_queues, and lifts those that are null; the others stay. SELECT
-- limit_queue('mail', '{"max_running": 7, "rate_limit": 100, "rate_period_seconds": 1}');
CREATE FUNCTION limit_queue(name text, limits jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    known text[] := ARRAY(SELECT job_queue_names());
    there_are text[] := '{max_running,key_limit,rate_limit,rate_period_seconds,max_pending,pause_after_failures,pause_seconds,aging_seconds,keep_days,keep_last}';
    wrong text := (SELECT min(l.key) FROM jsonb_object_keys(limits) AS l (key) WHERE l.key <> ALL (there_are));
BEGIN
    IF (octet_length(limit_queue.name) BETWEEN 1 AND 200) IS NOT TRUE THEN
        RAISE EXCEPTION 'no queue can be named "%"', limit_queue.name USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a name of 1 to 200 bytes.';
    ELSIF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'queues have no limit named "%"', wrong
            USING ERRCODE = 'invalid_parameter_value', HINT = job_did_you_mean(wrong, there_are) || 'There are ' || array_to_string(there_are, ', ') || '.';
    ELSIF limit_queue.name <> ALL (known) THEN
        RAISE WARNING 'nothing names a queue "%" so far; the limits are for whoever comes', limit_queue.name
            USING HINT = job_did_you_mean(limit_queue.name, known) || 'SELECT queue FROM job_queue_status lists those in use. If this one was mistyped: DELETE FROM job_queues WHERE name = ' || quote_literal(limit_queue.name) || ';';
    END IF;
    INSERT INTO job_queues (name) VALUES (limit_queue.name) ON CONFLICT (name) DO NOTHING;
    UPDATE job_queues q
    SET (max_running, key_limit, rate_limit, rate_period_seconds, max_pending, pause_after_failures, pause_seconds, aging_seconds, keep_days, keep_last,
         rate_next_at, aged_until) = (
        SELECT r.max_running, r.key_limit, r.rate_limit, r.rate_period_seconds, r.max_pending, r.pause_after_failures, r.pause_seconds, r.aging_seconds,
               r.keep_days, r.keep_last, NULL::timestamptz, CASE WHEN r.aging_seconds = q.aging_seconds THEN q.aged_until END
        FROM jsonb_populate_record(q, limit_queue.limits) AS r)
    WHERE q.name = limit_queue.name;
    PERFORM pg_notify(job_channel(), '');
END $function$;

-- Used inside others: seconds before the next try after so many failures, at most 86400, without the jitter of 10 %.
CREATE FUNCTION job_retry_delay(backoff text, delay_seconds double precision, failures integer)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE
RETURN LEAST((86400)::double precision, (delay_seconds * (CASE backoff WHEN 'fixed'::text THEN (1)::numeric WHEN 'linear'::text THEN (failures)::numeric ELSE (2.0 ^ (LEAST((failures - 1), 40))::numeric) END)::double precision));

-- Used inside others: job_executions.errors with one more entry, of which the first and the last 19 are kept.
CREATE FUNCTION job_errors_with(errors jsonb, entry jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
RETURN (CASE WHEN (jsonb_array_length(errors) >= 20) THEN (errors - 1) ELSE errors END || jsonb_build_array(entry));

-- Worker protocol, 1: makes a worker and returns its id. Its claims are valid for lease_seconds; renew them in time
-- with heartbeat_worker().
CREATE FUNCTION register_worker(
    name text,
    queues text[] DEFAULT '{default}',
    pool_size integer DEFAULT 1,
    hostname text DEFAULT '',
    pid integer DEFAULT NULL,
    lease_seconds double precision DEFAULT 30,
    version text DEFAULT ''
)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_variable
DECLARE
    refusal text[] := CASE
        WHEN (octet_length(name) BETWEEN 1 AND 200) IS NOT TRUE THEN ARRAY[format('no worker can be named "%s"', left(name, 200)), 'Write 1 to 200 bytes: what people know it by; several may share it.']
        WHEN (1 <= ALL (ARRAY(SELECT octet_length(q) FROM unnest(queues) AS q)) AND 200 >= ALL (ARRAY(SELECT octet_length(q) FROM unnest(queues) AS q))) IS NOT TRUE OR queues IS NULL
            THEN ARRAY[format('queues can''t be %s', coalesce(quote_literal(left(queues::text, 200)), 'NULL')), 'Write an array of names, each of 1 to 200 bytes.']
        WHEN (pool_size >= 0) IS NOT TRUE THEN ARRAY[format('pool_size %s is out of range', coalesce(pool_size::text, 'NULL')), 'Write how many executions it runs at once.']
        WHEN (lease_seconds > 0 AND lease_seconds <= 86400) IS NOT TRUE
            THEN ARRAY[format('lease_seconds %s is out of range', coalesce(lease_seconds::text, 'NULL')), 'Write seconds, more than 0, up to 86400 (a day).']
    END;
    new_id uuid;
BEGIN
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', refusal[1] USING ERRCODE = 'invalid_parameter_value', HINT = refusal[2];
    END IF;
    INSERT INTO job_workers (name, queues, pool_size, hostname, pid, lease_until, version)
    VALUES (name, queues, pool_size, coalesce(hostname, ''), pid, job_now() + make_interval(secs => lease_seconds), coalesce(version, ''))
    RETURNING id INTO new_id;
    RETURN new_id;
END $function$;

-- Worker protocol, 2: renews the lease, from now on for lease_seconds, and says how much runs, succeeded and failed.
-- NULL: it is lost; stop all attempts and register anew.
CREATE FUNCTION heartbeat_worker(
    id uuid,
    lease_seconds double precision DEFAULT 30,
    running integer DEFAULT NULL,
    succeeded bigint DEFAULT NULL,
    failed bigint DEFAULT NULL
)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
BEGIN
    IF (lease_seconds > 0 AND lease_seconds <= 86400) IS NOT TRUE THEN
        RAISE EXCEPTION 'lease_seconds % is out of range', coalesce(lease_seconds::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write seconds, more than 0, up to 86400 (a day).';
    END IF;
    UPDATE job_workers w
    SET heartbeat_at = job_now(), lease_until = job_now() + make_interval(secs => lease_seconds), running_count = coalesce(running, w.running_count),
        succeeded_count = coalesce(succeeded, w.succeeded_count), failed_count = coalesce(failed, w.failed_count)
    WHERE w.id = heartbeat_worker.id AND w.status IN ('ACTIVE', 'DRAINING');
    RETURN nullif(FOUND, false);
END $function$;

-- Worker protocol, 6: the worker's last word. What it still holds goes back as a failed attempt; end it or
-- release_job() it before. NULL: it was lost.
CREATE FUNCTION leave_worker(id uuid)
 RETURNS boolean
 LANGUAGE sql
 SET search_path FROM CURRENT
AS $function$
    UPDATE job_workers w SET status = 'STOPPED', running_count = 0, heartbeat_at = job_now()
    WHERE w.id = leave_worker.id AND w.status IN ('ACTIVE', 'DRAINING')
    RETURNING true;
$function$;

-- Used inside others: a claim from a queue that may have limits, in one transaction that locks first and counts then.
-- bounds: where to begin in each level, highest first; policies: what handlers declare, by name.
CREATE FUNCTION job_claim(
    worker uuid,
    token uuid,
    queue text,
    n integer,
    bounds double precision[],
    policies jsonb
)
 RETURNS SETOF job_executions
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    levels smallint[] := ARRAY(SELECT generate_series(9, -9, -1));
    settings job_queues;
    room integer := n;
    period interval;
    step double precision;
    moment timestamptz;
    best_unkeyed smallint;
    ids bigint[];
    keys text[];
    limits integer[];
    claimed integer;
    looks integer := 0;
BEGIN
    PERFORM FROM job_workers w WHERE w.id = worker AND w.status = 'ACTIVE' AND w.heartbeat_at <= job_now() AND job_now() < w.lease_until;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT q.* INTO settings FROM job_queues q WHERE q.name = job_claim.queue;
    IF coalesce(settings.max_running, settings.rate_limit) IS NOT NULL THEN
        -- One claim at a time: whoever comes meanwhile waits a moment, but not for a client that leaves its transaction open. What has
        -- been claimed is counted by statements after the lock, each of which sees everything that is committed.
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'queue "%" has limits, which can''t be kept in a transaction that is %', job_claim.queue, current_setting('transaction_isolation')
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Claim in READ COMMITTED.';
        END IF;
        LOOP
            EXIT WHEN pg_try_advisory_xact_lock(hashtextextended(job_claim.queue, 'job_queues'::regclass::bigint));
            looks := looks + 1;
            IF looks = 10 THEN
                RETURN;
            END IF;
            PERFORM pg_sleep(0.002);
        END LOOP;
        SELECT q.* INTO settings FROM job_queues q WHERE q.name = job_claim.queue;
    END IF;
    IF settings.paused AND (settings.resume_at IS NULL OR settings.resume_at > job_now()) THEN
        RETURN;
    END IF;
    IF settings.max_running IS NOT NULL THEN
        room := least(room, settings.max_running - (SELECT count(*) FROM job_executions e WHERE e.queue = job_claim.queue AND e.status = 'RUNNING'));
    END IF;
    IF settings.rate_limit IS NOT NULL AND room > 0 THEN
        PERFORM FROM job_queues q WHERE q.name = job_claim.queue FOR NO KEY UPDATE SKIP LOCKED;    -- who edits it has it
        IF NOT FOUND THEN
            RETURN;
        END IF;
        period := make_interval(secs => settings.rate_period_seconds);
        step := settings.rate_period_seconds / 100;
        moment := job_now();
        room := least(room, settings.rate_limit - (
            SELECT coalesce(sum(t.count), 0) FROM unnest(settings.rate_taken_at, settings.rate_taken) AS t (at, count)
            WHERE t.at > moment - period AND t.at <= moment + 2 * period));    -- a clock set back may make it wait, but not for ever
    END IF;
    IF room <= 0 THEN
        RETURN;
    END IF;
    SELECT level.priority INTO best_unkeyed
    FROM unnest(levels) AS level (priority)
    CROSS JOIN LATERAL (
        SELECT FROM job_executions u
        WHERE u.queue = job_claim.queue AND u.priority = level.priority AND u.status = 'PENDING' AND u.concurrency_key IS NULL AND u.available_at <= (SELECT job_now())
        ORDER BY u.available_at  -- by the index: many delayed rows would make the whole table look like the shorter way to one
        LIMIT 1
    ) AS waiting
    LIMIT 1;
    -- Keyed rows are looked for as scheduler/store/queries.sql does it, where the reasons are written: lock_keyed; if all of the first
    -- rows belong to full keys, lock_keyed_behind; then claim_keyed, which counts what runs in a statement of its own.
    SELECT array_agg(c.id), array_agg(c.concurrency_key), array_agg(c.at_once) INTO ids, keys, limits
    FROM (
        SELECT e.id, e.concurrency_key, coalesce(e.concurrency_limit, settings.key_limit, 1) AS at_once, e.tableoid
        FROM (
            SELECT w.id, w.priority, w.available_at, w.concurrency_key, w.concurrency_limit FROM job_executions w
            WHERE w.queue = job_claim.queue AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL AND w.available_at <= (SELECT job_now())
              AND w.priority >= coalesce(best_unkeyed, -9)
            ORDER BY w.priority DESC, w.available_at, w.id
            LIMIT room + 500
        ) AS head JOIN job_executions e ON e.id = head.id
        WHERE coalesce(head.concurrency_limit, settings.key_limit, 1) > (
            SELECT count(*) FROM job_executions r
            WHERE r.concurrency_key = head.concurrency_key AND r.status IN ('PENDING', 'RUNNING') AND r.status > 'PENDING')
          AND e.status = 'PENDING'
        ORDER BY head.priority DESC, head.available_at, head.id
        LIMIT room
        FOR UPDATE OF e SKIP LOCKED
    ) AS c
    WHERE pg_try_advisory_xact_lock(hashtextextended(c.concurrency_key, c.tableoid::bigint));
    IF ids IS NULL THEN
        WITH RECURSIVE names AS (
            SELECT (SELECT min(e.concurrency_key) FROM job_executions e WHERE e.concurrency_key IS NOT NULL AND e.status IN ('PENDING', 'RUNNING')) AS key
            WHERE (SELECT true FROM job_executions w
                   WHERE w.queue = job_claim.queue AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL AND w.available_at <= (SELECT job_now())
                   ORDER BY w.priority DESC, w.available_at, w.id OFFSET room + 499 LIMIT 1)
            UNION ALL
            SELECT (SELECT min(e.concurrency_key) FROM job_executions e WHERE e.concurrency_key > k.key AND e.status IN ('PENDING', 'RUNNING'))
            FROM names k WHERE k.key IS NOT NULL
        )
        SELECT array_agg(c.id), array_agg(c.concurrency_key), array_agg(c.at_once) INTO ids, keys, limits
        FROM (
            SELECT e.id, e.concurrency_key, coalesce(e.concurrency_limit, settings.key_limit, 1) AS at_once, e.tableoid
            FROM names k
            CROSS JOIN LATERAL (
                SELECT count(*) AS running FROM job_executions r
                WHERE r.concurrency_key = k.key AND r.status IN ('PENDING', 'RUNNING') AND r.status > 'PENDING'
            ) AS busy
            CROSS JOIN LATERAL (
                SELECT w.id, w.priority, w.available_at, w.concurrency_limit FROM job_executions w
                WHERE w.concurrency_key BETWEEN k.key AND k.key AND w.status = 'PENDING' AND w.queue || '' = job_claim.queue AND w.available_at <= (SELECT job_now())
                  AND w.priority >= coalesce(best_unkeyed, -9)
                ORDER BY w.concurrency_key
                LIMIT room
            ) AS first JOIN job_executions e ON e.id = first.id
            WHERE busy.running < coalesce(first.concurrency_limit, settings.key_limit, 1) AND e.status = 'PENDING'
            ORDER BY first.priority DESC, first.available_at, first.id
            LIMIT room
            FOR UPDATE OF e SKIP LOCKED
        ) AS c
        WHERE pg_try_advisory_xact_lock(hashtextextended(c.concurrency_key, c.tableoid::bigint));
    END IF;
    ids := ARRAY(
        SELECT c.id FROM (
            SELECT k.id, k.key, k.at_once, row_number() OVER (PARTITION BY k.key ORDER BY k.place) AS turn
            FROM unnest(ids, keys, limits) WITH ORDINALITY AS k (id, key, at_once, place)
        ) AS c
        WHERE c.turn <= c.at_once - (SELECT count(*) FROM job_executions r
                                     WHERE r.concurrency_key = c.key AND r.status IN ('PENDING', 'RUNNING') AND r.status > 'PENDING'));
    ids := ids || ARRAY(
        SELECT waiting.id
        FROM unnest(levels, bounds) AS level (priority, bound)
        CROSS JOIN LATERAL (
            SELECT w.id FROM job_executions w
            WHERE w.queue = job_claim.queue AND w.priority = level.priority AND w.status = 'PENDING' AND w.concurrency_key IS NULL
              AND w.available_at >= to_timestamp(coalesce(level.bound, '-infinity')) AND w.available_at <= (SELECT job_now())
            ORDER BY w.available_at, w.id
            LIMIT room - cardinality(ids)
            FOR UPDATE SKIP LOCKED
        ) AS waiting
        LIMIT room - cardinality(ids));
    RETURN QUERY
        UPDATE job_executions e
        SET status = 'RUNNING', attempt = least(e.attempt, 2147483646) + 1, claimed_by = worker, claim_token = token, started_at = job_now(),
            timeout_seconds = coalesce(e.timeout_seconds, (policies -> e.handler_name ->> 'timeout_seconds')::double precision, 300),
            max_retry = coalesce(e.max_retry, (policies -> e.handler_name ->> 'max_retry')::integer, 3),
            retry_backoff = coalesce(e.retry_backoff, policies -> e.handler_name ->> 'retry_backoff', 'exponential'),
            retry_delay_seconds = coalesce(e.retry_delay_seconds, (policies -> e.handler_name ->> 'retry_delay_seconds')::double precision, 2)
        WHERE e.id = ANY (ids)
        RETURNING e.*;
    GET DIAGNOSTICS claimed = ROW_COUNT;
    IF claimed > 0 AND settings.rate_limit IS NOT NULL THEN
        -- They count as claimed at the end of the hundredth of a period that has begun by now, which is never before they were: so
        -- that a hundred numbers are enough for any rate, and no period, wherever it begins, holds more than the limit.
        WITH taken AS (
            SELECT t.at, t.count FROM unnest(settings.rate_taken_at, settings.rate_taken) AS t (at, count)
            WHERE t.at > moment - period AND t.at <= moment + 2 * period
            UNION ALL
            SELECT greatest(job_now(), to_timestamp(ceil(extract(epoch FROM job_now())::double precision / step) * step)), claimed
        ), slots AS (
            SELECT taken.at, sum(taken.count)::integer AS count, sum(sum(taken.count)) OVER (ORDER BY taken.at DESC) AS since FROM taken GROUP BY taken.at
        )
        UPDATE job_queues q
        SET rate_taken_at = kept.ats, rate_taken = kept.counts, rate_next_at = kept.next_at
        FROM (SELECT array_agg(s.at ORDER BY s.at) AS ats, array_agg(s.count ORDER BY s.at) AS counts,
                     max(s.at) FILTER (WHERE s.since >= settings.rate_limit) + period AS next_at FROM slots s) AS kept
        WHERE q.name = job_claim.queue;
    END IF;
END $function$;

-- Worker protocol, 3: claims up to n executions of one queue, highest priority first, then oldest, within its limits.
-- End each with complete_job() or fail_job(), naming its claim_token, within its timeout_seconds.
CREATE FUNCTION claim_jobs(worker uuid, queue text DEFAULT 'default', n integer DEFAULT 1)
 RETURNS TABLE(id bigint, claim_token uuid, handler_name text, handler_params jsonb, attempt integer, timeout_seconds double precision, scheduled_at timestamp with time zone)
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
BEGIN
    IF (n >= 0) IS NOT TRUE THEN
        RAISE EXCEPTION 'n % is out of range', n USING ERRCODE = 'invalid_parameter_value', HINT = 'Write how many to claim at most.';
    END IF;
    PERFORM FROM job_workers w WHERE w.id = worker AND w.status = 'ACTIVE' AND w.heartbeat_at <= job_now() AND job_now() < w.lease_until;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % has no valid lease', worker USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call register_worker again and heartbeat_worker in time.';
    END IF;
    RETURN QUERY
        SELECT c.id, c.claim_token, c.handler_name, c.handler_params, c.attempt, c.timeout_seconds, c.scheduled_at
        FROM job_claim(worker, gen_random_uuid(), claim_jobs.queue, n, NULL, '{}') AS c;
END $function$;

-- Worker protocol, 4: records SUCCESS. NULL: the claim is lost and nothing was recorded, unless the row is final with
-- this very token, by an earlier call.
CREATE FUNCTION complete_job(id bigint, token uuid, result jsonb DEFAULT NULL)
 RETURNS boolean
 LANGUAGE sql
 SET search_path FROM CURRENT
AS $function$
    UPDATE job_executions e
    SET status = 'SUCCESS', finished_at = job_now(), error = NULL, suspect = false,
        -- As a worker of ours cuts it: an outcome isn't lost for its size.
        result = CASE WHEN octet_length(complete_job.result::text) > 1048576
                      THEN jsonb_build_object('truncated', true, 'bytes', octet_length(complete_job.result::text), 'head', left(complete_job.result::text, 8192),
                                              'sha256', encode(sha256(convert_to(complete_job.result::text, 'UTF8')), 'hex'))
                      ELSE complete_job.result END
    WHERE e.id = complete_job.id AND e.claim_token = complete_job.token AND e.status = 'RUNNING'
    RETURNING true;
$function$;

-- Worker protocol, 4: records a failed attempt (TIMEOUT if timed_out; no more tries if permanent; the next after
-- delay_seconds instead of the row's backoff) and returns the status the row has now: PENDING if it is tried again.
-- NULL: the claim is lost and nothing was recorded.
CREATE FUNCTION fail_job(
    id bigint,
    token uuid,
    error text,
    delay_seconds double precision DEFAULT NULL,
    permanent boolean DEFAULT false,
    timed_out boolean DEFAULT false
)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
DECLARE
    told text := left(coalesce(fail_job.error, 'no reason was given'), 8192);
    was job_executions%ROWTYPE;
    next_status text;
    failures integer;
BEGIN
    IF (fail_job.delay_seconds BETWEEN 0 AND 31622400) IS FALSE THEN
        RAISE EXCEPTION 'delay_seconds % is out of range', fail_job.delay_seconds
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write seconds, 0 to 31622400 (366 days), or leave it out for the row''s own backoff.';
    END IF;
    SELECT * INTO was FROM job_executions e WHERE e.id = fail_job.id AND e.claim_token = fail_job.token AND e.status = 'RUNNING' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    failures := least(was.retry_count, 2147483646) + 1;
    next_status := CASE WHEN was.cancel_requested_at IS NOT NULL THEN 'CANCELLED' WHEN was.retry_count < was.max_retry - 1 AND fail_job.permanent IS NOT TRUE THEN 'PENDING'
                        WHEN fail_job.timed_out THEN 'TIMEOUT' ELSE 'FAILED' END;
    UPDATE job_executions e
    SET status = next_status, retry_count = failures, suspect = false,
        error = CASE WHEN was.cancel_requested_at IS NULL THEN told ELSE coalesce(was.cancel_reason, 'cancelled by request') END,
        errors = job_errors_with(e.errors, jsonb_build_object('attempt', e.attempt, 'outcome', CASE WHEN fail_job.timed_out THEN 'timeout' ELSE 'failure' END,
                                                              'at', job_now(), 'worker', e.claimed_by, 'error', told)),
        finished_at = CASE WHEN next_status <> 'PENDING' THEN job_now() END,
        available_at = CASE WHEN next_status = 'PENDING' THEN greatest(e.available_at, job_now() + make_interval(secs => coalesce(
            fail_job.delay_seconds, job_retry_delay(e.retry_backoff, e.retry_delay_seconds, failures) * (0.9 + 0.2 * random())))) ELSE e.available_at END,
        claim_token = CASE WHEN next_status <> 'PENDING' THEN e.claim_token END,
        claimed_by = CASE WHEN next_status <> 'PENDING' THEN e.claimed_by END
    WHERE e.id = was.id;
    RETURN next_status;
END $function$;

-- Worker protocol, 5: says how far it is, if anything, and is told whether to go on. false: somebody cancelled it;
-- stop, and call fail_job(), which makes it CANCELLED. NULL: the claim is lost; stop.
CREATE FUNCTION progress_job(
    id bigint,
    token uuid,
    progress double precision DEFAULT NULL,
    message text DEFAULT NULL
)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
DECLARE
    wanted boolean;
BEGIN
    IF (progress_job.progress BETWEEN 0 AND 1) IS FALSE THEN
        RAISE EXCEPTION 'progress % is out of range', progress_job.progress USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a part of the whole, 0 to 1.';
    END IF;
    IF progress_job.progress IS NULL AND progress_job.message IS NULL THEN
        SELECT e.cancel_requested_at IS NULL INTO wanted
        FROM job_executions e WHERE e.id = progress_job.id AND e.claim_token = progress_job.token AND e.status = 'RUNNING';
    ELSE
        UPDATE job_executions e
        SET progress = coalesce(progress_job.progress, e.progress), progress_message = coalesce(left(progress_job.message, 1000), e.progress_message)
        WHERE e.id = progress_job.id AND e.claim_token = progress_job.token AND e.status = 'RUNNING'
        RETURNING e.cancel_requested_at IS NULL INTO wanted;
    END IF;
    RETURN wanted;
END $function$;

-- Worker protocol, 4: hands it back without using up a try, for another worker to claim at once; not what had begun
-- with max_retry 0 or 1. Returns the status now; NULL: the claim is lost.
CREATE FUNCTION release_job(id bigint, token uuid)
 RETURNS text
 LANGUAGE sql
 SET search_path FROM CURRENT
AS $function$
    UPDATE job_executions e
    SET status = CASE WHEN e.cancel_requested_at IS NULL THEN 'PENDING' ELSE 'CANCELLED' END,
        finished_at = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE job_now() END,
        error = CASE WHEN e.cancel_requested_at IS NULL THEN e.error ELSE coalesce(e.cancel_reason, 'cancelled by request') END,
        available_at = greatest(e.available_at, job_now()),
        claim_token = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claim_token END,
        claimed_by = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claimed_by END
    WHERE e.id = release_job.id AND e.claim_token = release_job.token AND e.status = 'RUNNING'
    RETURNING e.status;
$function$;

-- Worker protocol, 4: puts it off for delay_seconds without using up a try. Returns the status now; NULL: the claim is
-- lost.
CREATE FUNCTION snooze_job(id bigint, token uuid, delay_seconds double precision)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path FROM CURRENT
AS $function$
DECLARE
    status_now text;
BEGIN
    IF (snooze_job.delay_seconds BETWEEN 0 AND 31622400) IS NOT TRUE THEN
        RAISE EXCEPTION 'delay_seconds % is out of range', coalesce(snooze_job.delay_seconds::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write seconds, 0 to 31622400 (366 days).';
    END IF;
    UPDATE job_executions e
    SET status = CASE WHEN e.cancel_requested_at IS NULL THEN 'PENDING' ELSE 'CANCELLED' END, suspect = false,
        finished_at = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE job_now() END,
        error = CASE WHEN e.cancel_requested_at IS NULL THEN e.error ELSE coalesce(e.cancel_reason, 'cancelled by request') END,
        available_at = CASE WHEN e.cancel_requested_at IS NULL
                            THEN greatest(e.available_at, job_now() + make_interval(secs => snooze_job.delay_seconds)) ELSE e.available_at END,
        claim_token = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claim_token END,
        claimed_by = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claimed_by END
    WHERE e.id = snooze_job.id AND e.claim_token = snooze_job.token AND e.status = 'RUNNING'
    RETURNING e.status INTO status_now;
    RETURN status_now;
END $function$;


-- Views ---------------------------------------------------------------------------------------------------------------

-- Each cron job at a glance: next tick, last outcome, failures in a row, how late it is, why it is refused.
CREATE VIEW cron_job_status AS
 SELECT c.name,
    c.enabled,
    c.paused_reason,
    c.resume_at,
    c.cron_expression,
    c.timezone,
    c.handler_name,
    NULLIF(c.next_run_at, 'infinity') AS next_run_at,
    c.last_run_at,
    last.status AS last_status,
    last.finished_at AS last_finished_at,
    last.error AS last_error,
    streak.failures AS failures_in_a_row,
    open.running,
    open.waiting,
        CASE
            WHEN c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < job_now() THEN job_now() - c.next_run_at
            WHEN c.resume_at < job_now() THEN job_now() - c.resume_at
            ELSE NULL
        END AS late_by,
    c.invalid_reason,
    c.id AS cron_job_id
   FROM cron_jobs c
     LEFT JOIN LATERAL ( SELECT e.status,
            e.finished_at,
            e.error
           FROM ( SELECT n.cron_job_id,
                    n.status,
                    n.scheduled_at,
                    n.finished_at,
                    n.error
                   FROM job_executions n
                  WHERE n.cron_job_id >= c.id AND n.cron_job_id <= c.id AND n.status <> 'SKIPPED'
                  ORDER BY n.cron_job_id DESC, n.scheduled_at DESC
                 LIMIT 10000) e
          WHERE e.finished_at IS NOT NULL
          ORDER BY e.cron_job_id DESC, e.scheduled_at DESC
         LIMIT 1) last ON true
     LEFT JOIN LATERAL ( SELECT count(*) FILTER (WHERE recent.failed AND recent.successes = 0) AS failures
           FROM ( SELECT x.status = ANY (ARRAY['FAILED', 'TIMEOUT']) AS failed,
                    count(*) FILTER (WHERE x.status = 'SUCCESS') OVER (ORDER BY x.scheduled_at DESC) AS successes
                   FROM ( SELECT e.status,
                            e.scheduled_at
                           FROM ( SELECT n.cron_job_id,
                                    n.status,
                                    n.scheduled_at,
                                    n.finished_at
                                   FROM job_executions n
                                  WHERE n.cron_job_id >= c.id AND n.cron_job_id <= c.id AND n.status <> 'SKIPPED'
                                  ORDER BY n.cron_job_id DESC, n.scheduled_at DESC
                                 LIMIT 10000) e
                          WHERE e.finished_at IS NOT NULL
                          ORDER BY e.cron_job_id DESC, e.scheduled_at DESC
                         LIMIT 100) x) recent) streak ON true
     LEFT JOIN LATERAL ( SELECT count(*) FILTER (WHERE e.status = 'RUNNING') AS running,
            count(*) FILTER (WHERE e.status = 'PENDING') AS waiting
           FROM job_executions e
          WHERE e.concurrency_key >= ('cron:' || c.id) AND e.concurrency_key <= ('cron:' || c.id) AND (e.status = ANY (ARRAY['PENDING', 'RUNNING']))) open ON true
  ORDER BY c.name;

-- What became of each tick: an execution, or a SKIPPED span with the reason. Filter by name and scheduled_at.
CREATE VIEW cron_job_ticks AS
 SELECT c.name,
    e.scheduled_at,
    e.skipped_until,
    e.status,
    e.id AS execution_id,
    e.started_at,
    e.finished_at,
    e.finished_at - e.started_at AS took,
    e.skipped_count,
    split_part(e.error, '
', 1) AS why,
    e.cron_job_id
   FROM cron_jobs c
     JOIN job_executions e ON e.cron_job_id = c.id
  WHERE e.status <> 'SKIPPED' AND e.source <> 'manual'
UNION ALL
 SELECT c.name,
    e.scheduled_at,
    e.skipped_until,
    e.status,
    e.id AS execution_id,
    e.started_at,
    e.finished_at,
    e.finished_at - e.started_at AS took,
    e.skipped_count,
    split_part(e.error, '
', 1) AS why,
    e.cron_job_id
   FROM cron_jobs c
     JOIN job_executions e ON e.cron_job_id = c.id
  WHERE e.status = 'SKIPPED';

-- Each queue at a glance: what waits and since when, what runs, who serves it. Its cost grows with what waits.
CREATE VIEW job_queue_status AS
 SELECT names.queue,
    COALESCE(q.paused AND (q.resume_at IS NULL OR q.resume_at > job_now()), false) AS paused,
    q.paused_reason,
    q.resume_at,
    counts.waiting,
    counts.delayed,
    busy.running,
    counts.oldest_waiting,
    serving.workers,
    serving.per_minute,
    q.max_running,
    q.key_limit,
    q.rate_limit,
    q.rate_period_seconds,
    q.max_pending,
    q.aging_seconds,
    NULLIF(concat_ws(', ',
        CASE
            WHEN busy.running >= q.max_running THEN 'max_running'
            ELSE NULL
        END,
        CASE
            WHEN q.rate_limit IS NOT NULL AND q.rate_next_at > job_now() THEN 'rate_limit'
            ELSE NULL
        END,
        CASE
            WHEN (counts.waiting + counts.delayed) >= q.max_pending THEN 'max_pending'
            ELSE NULL
        END), '') AS reached
   FROM job_queue_names() names(queue)
     LEFT JOIN job_queues q ON q.name = names.queue
     CROSS JOIN LATERAL ( SELECT sum(half.waiting)::bigint AS waiting,
            sum(half.delayed)::bigint AS delayed,
                CASE
                    WHEN min(half.oldest) <= n.now THEN n.now - min(half.oldest)
                    ELSE NULL
                END AS oldest_waiting
           FROM ( SELECT job_now() AS now) n
             CROSS JOIN LATERAL ( SELECT count(*) FILTER (WHERE e.available_at <= n.now) AS waiting,
                    count(*) FILTER (WHERE e.available_at > n.now) AS delayed,
                    min(e.available_at) AS oldest
                   FROM job_executions e
                  WHERE e.queue >= names.queue AND e.queue <= names.queue AND e.status = 'PENDING' AND e.concurrency_key IS NULL
                UNION ALL
                 SELECT count(*) FILTER (WHERE e.available_at <= n.now) AS count,
                    count(*) FILTER (WHERE e.available_at > n.now) AS count,
                    min(e.available_at) AS min
                   FROM job_executions e
                  WHERE e.queue >= names.queue AND e.queue <= names.queue AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL) half
          GROUP BY n.now) counts
     LEFT JOIN LATERAL ( SELECT count(*) AS running
           FROM job_executions e
          WHERE e.queue = names.queue AND e.status = 'RUNNING') busy ON true
     LEFT JOIN LATERAL ( SELECT count(*) AS workers,
            round(sum((w.succeeded_count + w.failed_count)::numeric / GREATEST(EXTRACT(epoch FROM w.heartbeat_at - w.started_at), 1::numeric)) * 60::numeric, 1) AS per_minute
           FROM job_workers w
          WHERE (names.queue = ANY (w.queues)) AND (w.status = ANY (ARRAY['ACTIVE', 'DRAINING']))) serving ON true
  ORDER BY names.queue;

-- What is claimed now, the oldest first: how long, how long it may still take, how far it is, and who has it.
CREATE VIEW job_running AS
 SELECT e.id,
    e.handler_name,
    e.queue,
    e.attempt,
    job_now() - e.started_at AS age,
    e.started_at + make_interval(secs => e.timeout_seconds) - job_now() AS time_left,
    e.progress,
    e.progress_message,
    w.name AS worker,
    w.hostname,
    w.pid,
    e.cancel_requested_at,
    e.cron_job_id,
    e.claimed_by
   FROM job_executions e
     LEFT JOIN job_workers w ON w.id = e.claimed_by
  WHERE e.status = 'RUNNING'
  ORDER BY e.started_at;

-- Executions that used up their tries, newest first; retry_job() sends one back.
CREATE VIEW job_dead_letters AS
 SELECT id,
    handler_name,
    queue,
    status,
    finished_at,
    attempt,
    retry_count,
    error,
    handler_params,
    cron_job_id,
    scheduled_at
   FROM job_executions e
  WHERE status = ANY (ARRAY['FAILED', 'TIMEOUT'])
  ORDER BY finished_at DESC;

-- Workers that did not stop and were heard of in the last five minutes.
CREATE VIEW job_worker_status AS
 SELECT w.id,
    w.name,
    w.hostname,
    w.pid,
    w.status,
        CASE
            WHEN w.heartbeat_at > (job_now() - '00:01:00'::interval) THEN 'active'
            ELSE 'inactive'
        END AS state,
    w.queues,
    w.pool_size,
    w.running_count,
    w.succeeded_count,
    w.failed_count,
    job_now() - w.heartbeat_at AS silent_for,
    w.started_at,
    w.version,
    w.loops,
    stalled.loops AS stalled
   FROM job_workers w
     CROSS JOIN LATERAL ( SELECT COALESCE(jsonb_object_agg(loop.told ->> 'key', (loop.told -> 'value') -> 'age'), '{}') AS loops
           FROM jsonb_path_query(w.loops, '$.keyvalue()?((@."value"."limit" > 0 && @."value"."age" > @."value"."limit") && @."value"."age" < 1000000000)'::jsonpath, '{}', true) loop(told)
          WHERE w.status <> 'LOST') stalled
  WHERE w.heartbeat_at > (job_now() - '00:05:00'::interval) AND w.status <> 'STOPPED'
  ORDER BY w.started_at;

-- Each unsuccessful attempt with its traceback: the first and the last 19 of an execution. Filter by execution_id.
CREATE VIEW job_attempts AS
 SELECT e.id AS execution_id,
    e.handler_name,
    e.cron_job_id,
    (a.entry ->> 'attempt')::integer AS attempt,
    a.entry ->> 'outcome' AS outcome,
    (a.entry ->> 'at')::timestamptz AS at,
    a.entry ->> 'worker' AS worker,
    a.entry ->> 'error' AS error,
    a.entry ->> 'traceback' AS traceback
   FROM job_executions e
     CROSS JOIN LATERAL jsonb_array_elements(e.errors) a(entry);

-- Final executions, every column of job_executions: the name that stays wherever they may be stored one day.
CREATE VIEW job_history AS
 SELECT id,
    source,
    cron_job_id,
    handler_name,
    handler_params,
    queue,
    priority,
    status,
    scheduled_at,
    available_at,
    timeout_seconds,
    retry_count,
    max_retry,
    retry_backoff,
    retry_delay_seconds,
    attempt,
    claim_token,
    claimed_by,
    started_at,
    finished_at,
    suspect,
    cancel_requested_at,
    cancel_reason,
    progress,
    progress_message,
    result,
    error,
    errors,
    unique_key,
    unique_until,
    concurrency_key,
    concurrency_limit,
    skipped_count,
    skipped_until,
    notify_done,
    lifted,
    created_at,
    finished_at - started_at AS took
   FROM job_executions e
  WHERE status <> ALL (ARRAY['PENDING', 'RUNNING']);

-- What is prepared and not ended, as far as this server sees, and decisions that some participant may not have heard of
-- yet.
CREATE VIEW job_in_doubt AS
 SELECT p.gid,
    p.database,
    COALESCE(t.decision, 'UNDECIDED') AS decision,
    p.prepared AS since,
    job_now() - p.prepared AS age,
    p.owner,
    t.participants,
    t.execution_id
   FROM pg_prepared_xacts p
     CROSS JOIN job_installation i
     LEFT JOIN job_transactions t ON t.gid = regexp_replace(p.gid, ':[0-9]+$', '')
  WHERE starts_with(p.gid, ('sched:' || i.id) || ':')
UNION ALL
 SELECT t.gid,
    NULL AS database,
    t.decision,
    t.decided_at AS since,
    job_now() - t.decided_at AS age,
    NULL AS owner,
    t.participants,
    t.execution_id
   FROM job_transactions t
  WHERE t.settled_at IS NULL AND t.decided_at < (job_now() - '00:00:30'::interval);

-- Who did what, and with what. SELECT * FROM job_audit_log ORDER BY id DESC LIMIT 20;
CREATE VIEW job_audit_log AS
 SELECT id,
    at,
    COALESCE(actor, role) AS who,
    action,
    target,
    changes,
    role,
    application
   FROM job_audit a;

-- Ticks that are late: due and not planned, or, of a cron job with max_start_delay_seconds, among its newest 10 and not
-- started.
CREATE VIEW cron_job_late AS
 SELECT c.name,
    'not started' AS reason,
    e.scheduled_at AS tick,
    job_now() - e.available_at AS late_by,
    e.id AS execution_id,
    c.id AS cron_job_id
   FROM cron_jobs c
     CROSS JOIN LATERAL ( SELECT n.id,
            n.status,
            n.attempt,
            n.scheduled_at,
            n.available_at
           FROM job_executions n
          WHERE n.cron_job_id >= c.id AND n.cron_job_id <= c.id AND n.status <> 'SKIPPED'
          ORDER BY n.cron_job_id DESC, n.scheduled_at DESC
         LIMIT 10) e
  WHERE e.status = 'PENDING' AND e.attempt = 0 AND isfinite(e.available_at) AND e.available_at < (job_now() - make_interval(secs => c.max_start_delay_seconds))
UNION ALL
 SELECT c.name,
    'not planned' AS reason,
    c.next_run_at AS tick,
    job_now() - c.next_run_at AS late_by,
    NULL AS execution_id,
    c.id AS cron_job_id
   FROM cron_jobs c
  WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < (( SELECT job_now() AS job_now)) AND isfinite(c.next_run_at) AND c.next_run_at < (job_now() - make_interval(secs => COALESCE(c.max_start_delay_seconds, 60)))
UNION ALL
 SELECT c.name,
    'never planned' AS reason,
    NULL AS tick,
    job_now() - c.updated_at AS late_by,
    NULL AS execution_id,
    c.id AS cron_job_id
   FROM cron_jobs c
  WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at IS NULL AND c.tzdata_version IS NULL AND isfinite(c.updated_at) AND c.updated_at < (job_now() - make_interval(secs => COALESCE(c.max_start_delay_seconds, 60)));

-- Cron jobs whose newest execution that started has taken longer than expected_duration_seconds, whether or not it has
-- ended.
CREATE VIEW cron_job_slow AS
 SELECT c.name,
    e.status,
    COALESCE(e.finished_at, job_now()) - e.started_at AS took,
    make_interval(secs => c.expected_duration_seconds) AS expected,
    e.id AS execution_id,
    c.id AS cron_job_id
   FROM cron_jobs c
     CROSS JOIN LATERAL ( SELECT n.id,
            n.status,
            n.started_at,
            n.finished_at
           FROM ( SELECT o.cron_job_id,
                    o.scheduled_at,
                    o.id,
                    o.status,
                    o.started_at,
                    o.finished_at
                   FROM job_executions o
                  WHERE o.cron_job_id >= c.id AND o.cron_job_id <= c.id AND o.status <> 'SKIPPED'
                  ORDER BY o.cron_job_id DESC, o.scheduled_at DESC
                 LIMIT 10) n
          WHERE n.started_at IS NOT NULL AND n.status <> 'PENDING'
          ORDER BY n.cron_job_id DESC, n.scheduled_at DESC
         LIMIT 1) e
  WHERE c.expected_duration_seconds IS NOT NULL AND (COALESCE(e.finished_at, job_now()) - e.started_at) > make_interval(secs => c.expected_duration_seconds);


-- The words above, where the database keeps them ----------------------------------------------------------------------

COMMENT ON TABLE cron_jobs IS 'When to run which handler, with which params and policies. INSERT, UPDATE and DELETE take effect within a second.';
COMMENT ON COLUMN cron_jobs.id IS 'Executions name it as cron_job_id; it is never reused.';
COMMENT ON COLUMN cron_jobs.name IS 'What people call it; unique.';
COMMENT ON COLUMN cron_jobs.description IS 'What it is for, in the words of whoever wrote it.';
COMMENT ON COLUMN cron_jobs.cron_expression IS 'minute hour day-of-month month day-of-week, with seconds before them if six; @daily and the like; @every 90s|5m|2h|1d.';
COMMENT ON COLUMN cron_jobs.timezone IS 'IANA name, such as Europe/Berlin. A fixed time that DST skips runs once after the gap, one that comes twice runs once.';
COMMENT ON COLUMN cron_jobs.handler_name IS 'A name that a handler is registered under; never a path to code.';
COMMENT ON COLUMN cron_jobs.handler_params IS 'JSON handed to the handler with each execution; at most 1 MiB as text.';
COMMENT ON COLUMN cron_jobs.queue IS 'The queue that its executions wait under; any name, and some worker has to serve it.';
COMMENT ON COLUMN cron_jobs.priority IS '-9 to 9; higher runs first within its queue.';
COMMENT ON COLUMN cron_jobs.timeout_seconds IS 'Seconds an attempt may take, up to 31622400 (366 days). NULL: the handler''s own, else 300.';
COMMENT ON COLUMN cron_jobs.max_retry IS 'How often an execution may fail in all; 0 and 1: no second try. NULL: the handler''s own, else 3.';
COMMENT ON COLUMN cron_jobs.retry_backoff IS 'fixed | linear | exponential: the delay times 1, n, or 2^(n-1) after n failures. NULL: the handler''s own, else exponential.';
COMMENT ON COLUMN cron_jobs.retry_delay_seconds IS 'Seconds, 0 to 86400: what the backoff multiplies. NULL: the handler''s own, else 2.';
COMMENT ON COLUMN cron_jobs.overlap_policy IS 'What a tick does while an earlier execution isn''t final: skip | queue (wait) | allow (run beside it) | replace (cancel it).';
COMMENT ON COLUMN cron_jobs.catch_up IS 'Which ticks over 10 s late still run: latest (one) | skip (none) | all (the newest catch_up_limit); the rest become SKIPPED.';
COMMENT ON COLUMN cron_jobs.catch_up_limit IS '1 to 10000: bound for catch_up = all, and for the ticks that wait under overlap_policy = queue.';
COMMENT ON COLUMN cron_jobs.jitter_seconds IS 'Seconds, 0 to 86400: a tick becomes available up to so much later, by a hash of it; never past the next tick.';
COMMENT ON COLUMN cron_jobs.expected_duration_seconds IS 'Seconds that one is expected to take; longer, it is in the view cron_job_slow. NULL: nothing is expected.';
COMMENT ON COLUMN cron_jobs.max_start_delay_seconds IS 'Seconds that a tick may wait for its start, or it is in cron_job_late. NULL: 60 to be planned, any to be started.';
COMMENT ON COLUMN cron_jobs.starts_at IS 'No tick before this; also the anchor of @every. NULL: from created_at on.';
COMMENT ON COLUMN cron_jobs.ends_at IS 'No tick at or after this. NULL: no end.';
COMMENT ON COLUMN cron_jobs.enabled IS 'false pauses it: nothing more is planned, and what fell into a pause is never caught up.';
COMMENT ON COLUMN cron_jobs.paused_reason IS 'Why it is paused, for people. Cleared when it is resumed.';
COMMENT ON COLUMN cron_jobs.resume_at IS 'The planner resumes it then, and a tick at that very moment runs; NULL: somebody has to. Cleared when it is resumed.';
COMMENT ON COLUMN cron_jobs.next_run_at IS 'The next tick. Kept by the planner: NULL makes it compute anew, infinity means never again.';
COMMENT ON COLUMN cron_jobs.planned_until IS 'Every tick up to this is accounted for by a row of job_executions. Kept by the planner.';
COMMENT ON COLUMN cron_jobs.last_run_at IS 'The last tick that became an execution. NULL: none yet.';
COMMENT ON COLUMN cron_jobs.invalid_reason IS 'Why the planner refuses this row; NULL: nothing is wrong. Cleared by an edit of the schedule.';
COMMENT ON COLUMN cron_jobs.managed_by IS 'Who declared it (cron apply); NULL: written by hand.';
COMMENT ON COLUMN cron_jobs.declared IS 'What its declaration said when it was last applied, by column; a column that differs was edited since. NULL: by hand.';
COMMENT ON COLUMN cron_jobs.tzdata_version IS 'Version of the time zone data that next_run_at was computed with; other data makes it compute anew.';
COMMENT ON COLUMN cron_jobs.unplanned IS 'Time that pauses and edits took from the planner, by which schedule; it writes those ticks as SKIPPED. NULL: none.';
COMMENT ON COLUMN cron_jobs.created_by IS 'The database role that inserted it.';
COMMENT ON COLUMN cron_jobs.created_at IS 'When it was inserted; no tick is before it.';
COMMENT ON COLUMN cron_jobs.updated_at IS 'The last edit; the planner''s own writes don''t count.';
COMMENT ON TABLE job_executions IS 'One row per piece of work: PENDING -> RUNNING -> SUCCESS | FAILED | TIMEOUT | CANCELLED. SKIPPED rows say why ticks did not run.';
COMMENT ON COLUMN job_executions.id IS 'What cancel_job() and retry_job() take.';
COMMENT ON COLUMN job_executions.source IS 'Where it came from: enqueue | tick | manual | backfill | message.';
COMMENT ON COLUMN job_executions.cron_job_id IS 'The cron job (cron_jobs.id) it belongs to; the row may outlive it. NULL: it belongs to none.';
COMMENT ON COLUMN job_executions.handler_name IS 'The handler that runs it: a registered name, never a path to code.';
COMMENT ON COLUMN job_executions.handler_params IS 'JSON handed to the handler; at most 1 MiB as text.';
COMMENT ON COLUMN job_executions.queue IS 'The queue it waits under; workers claim from the queues they serve.';
COMMENT ON COLUMN job_executions.priority IS '-9 to 9; higher runs first within its queue.';
COMMENT ON COLUMN job_executions.status IS 'PENDING | RUNNING | SUCCESS | FAILED | TIMEOUT | CANCELLED | SKIPPED. FAILED and TIMEOUT are dead letters.';
COMMENT ON COLUMN job_executions.scheduled_at IS 'The nominal tick, or when it was asked for.';
COMMENT ON COLUMN job_executions.available_at IS 'Not to be claimed before this: a delay, a jitter, the backoff after a failure.';
COMMENT ON COLUMN job_executions.timeout_seconds IS 'Seconds an attempt may take. NULL until a claim writes what is in force: the handler''s own, else 300.';
COMMENT ON COLUMN job_executions.retry_count IS 'Failed and timed-out attempts so far; at max_retry it is final. retry_job() begins at 0 again.';
COMMENT ON COLUMN job_executions.max_retry IS 'How often it may fail in all; 0 and 1: no second try. NULL until claimed: the handler''s own, else 3.';
COMMENT ON COLUMN job_executions.retry_backoff IS 'fixed | linear | exponential: the delay times 1, n, or 2^(n-1) after n failures. NULL until claimed, as timeout_seconds.';
COMMENT ON COLUMN job_executions.retry_delay_seconds IS 'Seconds, 0 to 86400: what the backoff multiplies; a wait is at most a day. NULL until claimed: the handler''s, else 2.';
COMMENT ON COLUMN job_executions.attempt IS 'How often it was claimed, whatever came of it.';
COMMENT ON COLUMN job_executions.claim_token IS 'The fence: every write of an attempt names it. Kept when final, NULL while waiting.';
COMMENT ON COLUMN job_executions.claimed_by IS 'The worker (job_workers.id) that has it or had it last. Kept when final, NULL while waiting.';
COMMENT ON COLUMN job_executions.started_at IS 'While RUNNING: the claim. Afterwards: when the handler began its last attempt. NULL: never claimed.';
COMMENT ON COLUMN job_executions.finished_at IS 'When it became final. NULL: PENDING or RUNNING.';
COMMENT ON COLUMN job_executions.suspect IS 'Its last worker was lost while holding it; false again at its next outcome.';
COMMENT ON COLUMN job_executions.cancel_requested_at IS 'Somebody asked for it to stop. Success still wins; every other outcome becomes CANCELLED.';
COMMENT ON COLUMN job_executions.cancel_reason IS 'Why, as cancel_job() was told.';
COMMENT ON COLUMN job_executions.progress IS '0 to 1, as the handler last said. NULL: it said nothing.';
COMMENT ON COLUMN job_executions.progress_message IS 'What the handler said with it.';
COMMENT ON COLUMN job_executions.result IS 'JSON that the handler returned. NULL: not SUCCESS, or nothing was returned.';
COMMENT ON COLUMN job_executions.error IS 'The last error, or why it was skipped or cancelled; its first line says it. NULL: none, or SUCCESS since.';
COMMENT ON COLUMN job_executions.errors IS 'Unsuccessful attempts, the first and the last 19: attempt, outcome, at, worker, error, traceback. See job_attempts.';
COMMENT ON COLUMN job_executions.unique_key IS 'At most one row with this key for as long as unique_until says. NULL: no such bound.';
COMMENT ON COLUMN job_executions.unique_until IS 'started: until its first claim; finished: until final; forever: as long as the row exists.';
COMMENT ON COLUMN job_executions.concurrency_key IS 'At most concurrency_limit rows with this key run at once, over all workers; cron:ID for ticks that may not overlap.';
COMMENT ON COLUMN job_executions.concurrency_limit IS 'How many rows with this concurrency_key may run at once, 1 or more. NULL: 1.';
COMMENT ON COLUMN job_executions.skipped_count IS 'Ticks that a SKIPPED row stands for, up to skipped_until; 10000: at least so many. NULL: not SKIPPED.';
COMMENT ON COLUMN job_executions.skipped_until IS 'The last tick a SKIPPED row stands for. NULL: not SKIPPED.';
COMMENT ON COLUMN job_executions.notify_done IS 'Somebody waits for its end, which is notified.';
COMMENT ON COLUMN job_executions.lifted IS 'How often it has waited for aging_seconds of its queue, each of which lifts priority by 1, up to 9. NULL: never.';
COMMENT ON COLUMN job_executions.created_at IS 'When the row was inserted.';
COMMENT ON TABLE job_workers IS 'One row per process that claims and runs, made anew at each start. See job_worker_status.';
COMMENT ON COLUMN job_workers.id IS 'job_executions.claimed_by names it.';
COMMENT ON COLUMN job_workers.name IS 'What it calls itself, for people; several may share it.';
COMMENT ON COLUMN job_workers.hostname IS 'The host it runs on.';
COMMENT ON COLUMN job_workers.pid IS 'Its process id on that host. NULL: it did not say.';
COMMENT ON COLUMN job_workers.queues IS 'The queues it claims from, in rotation; empty for a process that only plans.';
COMMENT ON COLUMN job_workers.pool_size IS 'How many executions it runs at once.';
COMMENT ON COLUMN job_workers.status IS 'ACTIVE (claims) | DRAINING (finishes what it has) | STOPPED (ended well) | LOST (its lease ran out). The last two are final.';
COMMENT ON COLUMN job_workers.started_at IS 'When it registered.';
COMMENT ON COLUMN job_workers.heartbeat_at IS 'The last sign of life.';
COMMENT ON COLUMN job_workers.lease_until IS 'Its claims are valid while heartbeat_at <= job_now() < lease_until.';
COMMENT ON COLUMN job_workers.wake_until IS 'It sleeps and wants to be notified of new work until then; renewed while idle, never cleared.';
COMMENT ON COLUMN job_workers.running_count IS 'Attempts running at the last heartbeat.';
COMMENT ON COLUMN job_workers.succeeded_count IS 'Attempts that succeeded, up to the last heartbeat.';
COMMENT ON COLUMN job_workers.failed_count IS 'Attempts that did not succeed, up to the last heartbeat.';
COMMENT ON COLUMN job_workers.loops IS 'Loop -> {"age": seconds since it last succeeded, "limit": what is too old}, at the last heartbeat. NULL: not told.';
COMMENT ON COLUMN job_workers.version IS 'The version of the package it runs.';
COMMENT ON TABLE job_queues IS 'Settings of queues that have any; a queue needs no row to exist.';
COMMENT ON COLUMN job_queues.name IS 'The queue, as executions and workers name it.';
COMMENT ON COLUMN job_queues.paused IS 'Nothing is claimed from it while true and resume_at is not past.';
COMMENT ON COLUMN job_queues.paused_reason IS 'Why it is paused, for people.';
COMMENT ON COLUMN job_queues.resume_at IS 'The pause ends by itself then; NULL: when somebody resumes it.';
COMMENT ON COLUMN job_queues.max_running IS 'At most this many are RUNNING at once, over all workers. NULL: no limit.';
COMMENT ON COLUMN job_queues.key_limit IS 'The concurrency_limit of its keyed rows that name none. NULL: 1.';
COMMENT ON COLUMN job_queues.rate_limit IS 'At most this many claims in any rate_period_seconds, retries included. NULL: no limit.';
COMMENT ON COLUMN job_queues.rate_period_seconds IS 'Seconds, above 0, up to 31622400 (366 days), that rate_limit is about. NULL: no limit.';
COMMENT ON COLUMN job_queues.rate_next_at IS 'Kept by the claim: when rate_limit allows the next one. NULL or past: at once.';
COMMENT ON COLUMN job_queues.rate_taken_at IS 'Kept by the claim: the ends of the hundredths of rate_period_seconds in which something was claimed lately.';
COMMENT ON COLUMN job_queues.rate_taken IS 'Kept by the claim: how much was claimed in each of them.';
COMMENT ON COLUMN job_queues.max_pending IS 'enqueue_job() refuses while so many rows of it are PENDING, delayed ones included. NULL: no limit.';
COMMENT ON COLUMN job_queues.pause_after_failures IS 'A worker that sees so many attempts of it fail in a row pauses it. NULL: none does.';
COMMENT ON COLUMN job_queues.pause_seconds IS 'How long such a pause lasts: seconds, above 0, up to 31622400 (366 days). NULL: until somebody resumes it.';
COMMENT ON COLUMN job_queues.aging_seconds IS 'Each time that a row has waited for so long, its priority goes up by 1, up to 9: 1 to 31622400. NULL: never.';
COMMENT ON COLUMN job_queues.aged_until IS 'Kept by the lifter: it has lifted what had waited for so long by then.';
COMMENT ON COLUMN job_queues.keep_days IS 'Days that its final rows are kept, infinity for ever; NULL: as the setting "retention" says for their status.';
COMMENT ON COLUMN job_queues.keep_last IS 'How many of its newest final rows are kept; NULL: as the setting "retention" says for their status.';
COMMENT ON TABLE job_installation IS 'One row: the name by which these tables know their own prepared transactions in other databases.';
COMMENT ON COLUMN job_installation.only_row IS 'Always true, so that there is only one row.';
COMMENT ON COLUMN job_installation.id IS 'In the name of each prepared transaction of ours. A copy of these tables for another use needs another one.';
COMMENT ON COLUMN job_installation.created_at IS 'When the tables were made.';
COMMENT ON TABLE job_transactions IS 'The decision of each transaction over several databases: whoever inserts the gid first has decided.';
COMMENT ON COLUMN job_transactions.gid IS 'sched:<installation>:<uuid>; in pg_prepared_xacts of participant n with :n at its end.';
COMMENT ON COLUMN job_transactions.decision IS 'COMMIT | ABORT: what every participant has to do.';
COMMENT ON COLUMN job_transactions.participants IS 'The names of the databases that prepared.';
COMMENT ON COLUMN job_transactions.execution_id IS 'The execution (job_executions.id) that it was part of. NULL: none.';
COMMENT ON COLUMN job_transactions.claim_token IS 'The claim of that execution whose outcome it carries. NULL: none.';
COMMENT ON COLUMN job_transactions.decided_at IS 'When the decision was made.';
COMMENT ON COLUMN job_transactions.settled_at IS 'When every participant had carried the decision out. NULL: not yet.';
COMMENT ON TABLE job_messages IS 'Messages already turned into executions, so that a redelivery makes no second one.';
COMMENT ON COLUMN job_messages.source IS 'The message queue it came from.';
COMMENT ON COLUMN job_messages.message_id IS 'The id that it was given; made up for one that came without.';
COMMENT ON COLUMN job_messages.execution_id IS 'The execution (job_executions.id) it became; the row may be gone. NULL: none.';
COMMENT ON COLUMN job_messages.received_at IS 'When it became an execution.';
COMMENT ON TABLE job_tokens IS 'Who may use the HTTP API. `scheduler web token add` makes one.';
COMMENT ON COLUMN job_tokens.name IS 'Whose it is; what the audit calls them.';
COMMENT ON COLUMN job_tokens.role IS 'viewer (no params, results, errors) | operator (also enqueues, calls, cancels, retries, pauses) | admin (all).';
COMMENT ON COLUMN job_tokens.digest IS 'SHA-256 of the token, which itself is nowhere.';
COMMENT ON COLUMN job_tokens.created_by IS 'The database role that inserted it.';
COMMENT ON COLUMN job_tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN job_tokens.expires_at IS 'Not taken from then on. NULL: until it is removed.';
COMMENT ON TABLE job_requests IS 'Requests with an Idempotency-Key and what they enqueued, so that the same again enqueues nothing more.';
COMMENT ON COLUMN job_requests.scope IS 'Whose key it is.';
COMMENT ON COLUMN job_requests.key IS 'The Idempotency-Key.';
COMMENT ON COLUMN job_requests.digest IS 'SHA-256 of what was asked for: the same key with something else is refused.';
COMMENT ON COLUMN job_requests.execution_ids IS 'What it enqueued (job_executions.id), in its order; the rows may be gone.';
COMMENT ON COLUMN job_requests.created_at IS 'When it was asked for first.';
COMMENT ON TABLE job_audit IS 'Who did what, by SQL, by commands and over HTTP; written by triggers and functions. See job_audit_log.';
COMMENT ON COLUMN job_audit.id IS 'In the order in which it was done.';
COMMENT ON COLUMN job_audit.at IS 'When.';
COMMENT ON COLUMN job_audit.role IS 'The database role.';
COMMENT ON COLUMN job_audit.actor IS 'Who that was, as the session''s setting scheduler.actor says: a token''s name, or a person''s. NULL: it does not say.';
COMMENT ON COLUMN job_audit.application IS 'The application_name of the session.';
COMMENT ON COLUMN job_audit.action IS 'What, such as cron_job.edit, execution.retry, queue.pause, token.add; docs/http-api.md lists them.';
COMMENT ON COLUMN job_audit.target IS 'With what: the name of the cron job, queue or token, or the id of the execution.';
COMMENT ON COLUMN job_audit.changes IS 'Column -> [before, after], or what else there is to say. Of params only that they changed. NULL: nothing more.';
COMMENT ON TABLE job_alerts IS 'What was wrong, from when to when, as the rules in the settings have it; open while closed_at IS NULL.';
COMMENT ON COLUMN job_alerts.id IS 'Executions of scheduler.alert name it, which tell of it.';
COMMENT ON COLUMN job_alerts.rule IS 'dead_letter | failing_cron_job | late_cron_job | slow_cron_job | backlog | stuck_loop | in_doubt.';
COMMENT ON COLUMN job_alerts.subject IS 'The handler, cron job, queue, loop of a worker, or transaction that it is about; one is open for each.';
COMMENT ON COLUMN job_alerts.message IS 'What is wrong, in a sentence, as it was last seen.';
COMMENT ON COLUMN job_alerts.number IS 'How many or how much, as it was last seen: executions, failures, or seconds.';
COMMENT ON COLUMN job_alerts.opened_at IS 'When it was first seen.';
COMMENT ON COLUMN job_alerts.last_seen_at IS 'When it was last seen.';
COMMENT ON COLUMN job_alerts.closed_at IS 'When it had not been seen for long enough to be over. NULL: it is open.';
COMMENT ON FUNCTION job_now() IS 'The one clock, clock_timestamp(): every stored time is this. Tests replace it.';
COMMENT ON FUNCTION job_channel() IS 'Used inside others: the NOTIFY channel of this schema. Payloads are empty, for a wake-up is only a hint to look.';
COMMENT ON FUNCTION job_executions_wake() IS 'Trigger: notifies of new executions, only while some worker sleeps, for NOTIFY makes concurrent commits wait for each other.';
COMMENT ON FUNCTION job_executions_done() IS 'Trigger: notifies job_done_SCHEMA of the end of an execution that somebody waits for (notify_done), its id as the payload.';
COMMENT ON FUNCTION cron_jobs_edited() IS 'Trigger: an edit of the schedule counts from now; what was due before it is not made up for. Keeps updated_at.';
COMMENT ON FUNCTION cron_jobs_wake() IS 'Trigger: notifies the planners of an edit. Their own updates name none of these columns.';
COMMENT ON FUNCTION job_audited(action text, target text, changes jsonb) IS 'Used inside others: writes down that the caller''s role did something.';
COMMENT ON FUNCTION job_audited_change() IS 'Trigger: writes down who added, edited or removed a cron job, a queue''s settings or a token. The line''s own writes name none of these columns.';
COMMENT ON FUNCTION job_did_you_mean(word text, names text[]) IS 'Used inside others: a question after the name that shares the most pairs of letters with a mistyped one; empty where none is like it.';
COMMENT ON FUNCTION cron_job_named(name text) IS 'Used inside others: cron_jobs.id by name; a name that none has is an error that says which was meant.';
COMMENT ON FUNCTION job_queue_names() IS 'Every queue that settings, a worker, a cron job, a waiting or running execution, or one of the newest 10,000 names; queues exist by being named.';
COMMENT ON FUNCTION job_restart_delay(id bigint, unique_key text, not_before timestamp with time zone) IS 'Used inside others, with the rights of its owner: what waits and holds a unique_key waits anew. False: it waits no more. For whoever may insert executions.';
COMMENT ON FUNCTION enqueue_job(handler_name text, handler_params jsonb, queue text, priority integer, delay_seconds double precision, available_at timestamp with time zone, timeout_seconds double precision, max_retry integer, retry_backoff text, retry_delay_seconds double precision, unique_key text, unique_until text, concurrency_key text, concurrency_limit integer, on_conflict text, notify_done boolean) IS 'Enqueues one execution and returns its id; where unique_key is taken, on_conflict says: return existing (the id of the holder), error, or restart delay (a waiting holder waits anew). SQLSTATE QFULL: the queue''s max_pending is reached. SELECT enqueue_job(''email'', ''{"to": "ada@example.com"}'', delay_seconds => 60);';
COMMENT ON FUNCTION cancel_job(id bigint, reason text) IS 'Cancels a waiting execution at once and asks a running one to stop. Returns the status it has now; a final one keeps its own.';
COMMENT ON FUNCTION retry_job(id bigint, handler_params jsonb) IS 'Sends a final execution back to PENDING with all its tries; attempt and errors are kept, and so are its params unless others are given. Returns the status it has now: SKIPPED stays, and so does, with a warning, one whose unique_key another row holds.';
COMMENT ON FUNCTION run_cron_job(name text) IS 'Enqueues an execution of a cron job now, apart from its schedule and also while it is paused; returns its id. It waits where ticks may not overlap.';
COMMENT ON FUNCTION pause_cron_job(name text, reason text, resume_at timestamp with time zone) IS 'Stops planning a cron job until resume_cron_job() or resume_at; what is planned already still runs. SELECT pause_cron_job(''nightly'', ''the source is down'', now() + interval ''1 day'');';
COMMENT ON FUNCTION resume_cron_job(name text) IS 'Plans a cron job again from now on; what fell into the pause is not made up for.';
COMMENT ON FUNCTION cron_job_tick_at(name text, at timestamp with time zone) IS 'What accounts for the newest tick of a cron job at or before an instant; covers is false where the instant itself was no tick, or is not planned yet. No row: no tick so far. Two index probes, however long the history.';
COMMENT ON FUNCTION pause_queue(name text, reason text, resume_at timestamp with time zone) IS 'Nothing more is claimed from the queue until resume_queue() or resume_at; what runs goes on. Warns of a name that nothing has. SELECT pause_queue(''mail'', ''provider is down'', now() + interval ''1 hour'');';
COMMENT ON FUNCTION resume_queue(name text) IS 'Ends the pause of a queue; harmless where it is not paused.';
COMMENT ON FUNCTION limit_queue(name text, limits jsonb) IS 'Sets the limits that are named, columns of job_queues, and lifts those that are null; the others stay. SELECT limit_queue(''mail'', ''{"max_running": 7, "rate_limit": 100, "rate_period_seconds": 1}'');';
COMMENT ON FUNCTION job_retry_delay(backoff text, delay_seconds double precision, failures integer) IS 'Used inside others: seconds before the next try after so many failures, at most 86400, without the jitter of 10 %.';
COMMENT ON FUNCTION job_errors_with(errors jsonb, entry jsonb) IS 'Used inside others: job_executions.errors with one more entry, of which the first and the last 19 are kept.';
COMMENT ON FUNCTION register_worker(name text, queues text[], pool_size integer, hostname text, pid integer, lease_seconds double precision, version text) IS 'Worker protocol, 1: makes a worker and returns its id. Its claims are valid for lease_seconds; renew them in time with heartbeat_worker().';
COMMENT ON FUNCTION heartbeat_worker(id uuid, lease_seconds double precision, running integer, succeeded bigint, failed bigint) IS 'Worker protocol, 2: renews the lease, from now on for lease_seconds, and says how much runs, succeeded and failed. NULL: it is lost; stop all attempts and register anew.';
COMMENT ON FUNCTION leave_worker(id uuid) IS 'Worker protocol, 6: the worker''s last word. What it still holds goes back as a failed attempt; end it or release_job() it before. NULL: it was lost.';
COMMENT ON FUNCTION job_claim(worker uuid, token uuid, queue text, n integer, bounds double precision[], policies jsonb) IS 'Used inside others: a claim from a queue that may have limits, in one transaction that locks first and counts then. bounds: where to begin in each level, highest first; policies: what handlers declare, by name.';
COMMENT ON FUNCTION claim_jobs(worker uuid, queue text, n integer) IS 'Worker protocol, 3: claims up to n executions of one queue, highest priority first, then oldest, within its limits. End each with complete_job() or fail_job(), naming its claim_token, within its timeout_seconds.';
COMMENT ON FUNCTION complete_job(id bigint, token uuid, result jsonb) IS 'Worker protocol, 4: records SUCCESS. NULL: the claim is lost and nothing was recorded, unless the row is final with this very token, by an earlier call.';
COMMENT ON FUNCTION fail_job(id bigint, token uuid, error text, delay_seconds double precision, permanent boolean, timed_out boolean) IS 'Worker protocol, 4: records a failed attempt (TIMEOUT if timed_out; no more tries if permanent; the next after delay_seconds instead of the row''s backoff) and returns the status the row has now: PENDING if it is tried again. NULL: the claim is lost and nothing was recorded.';
COMMENT ON FUNCTION progress_job(id bigint, token uuid, progress double precision, message text) IS 'Worker protocol, 5: says how far it is, if anything, and is told whether to go on. false: somebody cancelled it; stop, and call fail_job(), which makes it CANCELLED. NULL: the claim is lost; stop.';
COMMENT ON FUNCTION release_job(id bigint, token uuid) IS 'Worker protocol, 4: hands it back without using up a try, for another worker to claim at once; not what had begun with max_retry 0 or 1. Returns the status now; NULL: the claim is lost.';
COMMENT ON FUNCTION snooze_job(id bigint, token uuid, delay_seconds double precision) IS 'Worker protocol, 4: puts it off for delay_seconds without using up a try. Returns the status now; NULL: the claim is lost.';
COMMENT ON VIEW cron_job_status IS 'Each cron job at a glance: next tick, last outcome, failures in a row, how late it is, why it is refused.';
COMMENT ON COLUMN cron_job_status.name IS 'The cron job.';
COMMENT ON COLUMN cron_job_status.enabled IS 'false: paused.';
COMMENT ON COLUMN cron_job_status.paused_reason IS 'Why it is paused.';
COMMENT ON COLUMN cron_job_status.resume_at IS 'When it resumes by itself. NULL: it is not paused, or somebody has to resume it.';
COMMENT ON COLUMN cron_job_status.cron_expression IS 'When, as in cron_jobs.';
COMMENT ON COLUMN cron_job_status.timezone IS 'The zone that it is meant in.';
COMMENT ON COLUMN cron_job_status.handler_name IS 'The handler that its executions run.';
COMMENT ON COLUMN cron_job_status.next_run_at IS 'The next tick. NULL: never again, or not computed yet, or paused or invalid.';
COMMENT ON COLUMN cron_job_status.last_run_at IS 'The last tick that became an execution. NULL: none yet.';
COMMENT ON COLUMN cron_job_status.last_status IS 'Outcome of the newest execution that is final, of the newest 10,000; skipped ticks don''t count. NULL: none yet.';
COMMENT ON COLUMN cron_job_status.last_finished_at IS 'When that one ended.';
COMMENT ON COLUMN cron_job_status.last_error IS 'What went wrong with it. NULL: nothing.';
COMMENT ON COLUMN cron_job_status.failures_in_a_row IS 'FAILED or TIMEOUT since the last SUCCESS, of the newest 100 that are final among the newest 10,000.';
COMMENT ON COLUMN cron_job_status.running IS 'Executions that run now, of those that may not overlap; 0 under overlap_policy = allow.';
COMMENT ON COLUMN cron_job_status.waiting IS 'Executions that wait now, of those that may not overlap; 0 under overlap_policy = allow.';
COMMENT ON COLUMN cron_job_status.late_by IS 'Since when its next tick, or the end of its pause, is due; more than some seconds: no planner is at work. NULL: not late.';
COMMENT ON COLUMN cron_job_status.invalid_reason IS 'Why the planner refuses the row. NULL: nothing is wrong.';
COMMENT ON COLUMN cron_job_status.cron_job_id IS 'cron_jobs.id.';
COMMENT ON VIEW cron_job_ticks IS 'What became of each tick: an execution, or a SKIPPED span with the reason. Filter by name and scheduled_at.';
COMMENT ON COLUMN cron_job_ticks.name IS 'The cron job. Ticks of one that was deleted are only in job_executions.';
COMMENT ON COLUMN cron_job_ticks.scheduled_at IS 'The tick; of a SKIPPED row the first one that it stands for.';
COMMENT ON COLUMN cron_job_ticks.skipped_until IS 'The last tick that a SKIPPED row stands for. NULL: not SKIPPED.';
COMMENT ON COLUMN cron_job_ticks.status IS 'As in job_executions: PENDING | RUNNING | SUCCESS | FAILED | TIMEOUT | CANCELLED | SKIPPED.';
COMMENT ON COLUMN cron_job_ticks.execution_id IS 'job_executions.id.';
COMMENT ON COLUMN cron_job_ticks.started_at IS 'When the handler began its last attempt. NULL: never claimed.';
COMMENT ON COLUMN cron_job_ticks.finished_at IS 'When it became final. NULL: it waits or runs.';
COMMENT ON COLUMN cron_job_ticks.took IS 'Duration of the last attempt. NULL: not final, or never claimed.';
COMMENT ON COLUMN cron_job_ticks.skipped_count IS 'How many ticks a SKIPPED row stands for; 10000: at least so many. NULL: not SKIPPED.';
COMMENT ON COLUMN cron_job_ticks.why IS 'First line of the error, or why it was skipped or cancelled. NULL: nothing went wrong.';
COMMENT ON COLUMN cron_job_ticks.cron_job_id IS 'cron_jobs.id.';
COMMENT ON VIEW job_queue_status IS 'Each queue at a glance: what waits and since when, what runs, who serves it. Its cost grows with what waits.';
COMMENT ON COLUMN job_queue_status.queue IS 'Every queue that anything names; see job_queue_names().';
COMMENT ON COLUMN job_queue_status.paused IS 'true: nothing is claimed from it now.';
COMMENT ON COLUMN job_queue_status.paused_reason IS 'Why, for people.';
COMMENT ON COLUMN job_queue_status.resume_at IS 'When the pause ends by itself. NULL: when somebody resumes it.';
COMMENT ON COLUMN job_queue_status.waiting IS 'Executions that could be claimed now.';
COMMENT ON COLUMN job_queue_status.delayed IS 'Executions that wait for their available_at.';
COMMENT ON COLUMN job_queue_status.running IS 'Executions that are claimed.';
COMMENT ON COLUMN job_queue_status.oldest_waiting IS 'For how long the oldest of the waiting ones could have been claimed. NULL: none waits.';
COMMENT ON COLUMN job_queue_status.workers IS 'Workers at work that serve it.';
COMMENT ON COLUMN job_queue_status.per_minute IS 'Attempts that those workers ended per minute since they started, over all queues of theirs. NULL: no worker.';
COMMENT ON COLUMN job_queue_status.max_running IS 'How many may run at once, over all workers. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.key_limit IS 'How many of a concurrency_key may run at once, where the row names no limit. NULL: 1.';
COMMENT ON COLUMN job_queue_status.rate_limit IS 'How many may be claimed in any rate_period_seconds. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.rate_period_seconds IS 'Seconds that rate_limit is about. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.max_pending IS 'How many may wait, delayed ones included, before enqueue_job() refuses. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.aging_seconds IS 'Each time that a row has waited for so many seconds, its priority goes up by 1. NULL: never.';
COMMENT ON COLUMN job_queue_status.reached IS 'The limits that are reached now: max_running and rate_limit hold up claims, max_pending enqueue_job(). NULL: none.';
COMMENT ON VIEW job_running IS 'What is claimed now, the oldest first: how long, how long it may still take, how far it is, and who has it.';
COMMENT ON COLUMN job_running.id IS 'job_executions.id; SELECT cancel_job(id) asks it to stop.';
COMMENT ON COLUMN job_running.handler_name IS 'The handler that runs.';
COMMENT ON COLUMN job_running.queue IS 'The queue it came from.';
COMMENT ON COLUMN job_running.attempt IS 'How often it was claimed, this time included.';
COMMENT ON COLUMN job_running.age IS 'Time since the claim.';
COMMENT ON COLUMN job_running.time_left IS 'Until its timeout; negative: overdue.';
COMMENT ON COLUMN job_running.progress IS '0 to 1, as the handler last said. NULL: it said nothing.';
COMMENT ON COLUMN job_running.progress_message IS 'What it said with it.';
COMMENT ON COLUMN job_running.worker IS 'Name of the worker that has it. NULL: its row is gone.';
COMMENT ON COLUMN job_running.hostname IS 'The host of that worker.';
COMMENT ON COLUMN job_running.pid IS 'The process id of that worker.';
COMMENT ON COLUMN job_running.cancel_requested_at IS 'Since when it is asked to stop. NULL: it is not.';
COMMENT ON COLUMN job_running.cron_job_id IS 'The cron job it belongs to. NULL: none.';
COMMENT ON COLUMN job_running.claimed_by IS 'The worker (job_workers.id) that has it.';
COMMENT ON VIEW job_dead_letters IS 'Executions that used up their tries, newest first; retry_job() sends one back.';
COMMENT ON COLUMN job_dead_letters.id IS 'job_executions.id; SELECT retry_job(id) sends it back.';
COMMENT ON COLUMN job_dead_letters.handler_name IS 'The handler that failed.';
COMMENT ON COLUMN job_dead_letters.queue IS 'The queue it waited under.';
COMMENT ON COLUMN job_dead_letters.status IS 'FAILED | TIMEOUT.';
COMMENT ON COLUMN job_dead_letters.finished_at IS 'When the last try ended.';
COMMENT ON COLUMN job_dead_letters.attempt IS 'How often it was claimed.';
COMMENT ON COLUMN job_dead_letters.retry_count IS 'How often it failed since it was enqueued or sent back.';
COMMENT ON COLUMN job_dead_letters.error IS 'The last error; its first line says it. All of them: job_attempts.';
COMMENT ON COLUMN job_dead_letters.handler_params IS 'JSON that the handler was given.';
COMMENT ON COLUMN job_dead_letters.cron_job_id IS 'The cron job it belongs to. NULL: none.';
COMMENT ON COLUMN job_dead_letters.scheduled_at IS 'Its tick, or when it was asked for.';
COMMENT ON VIEW job_worker_status IS 'Workers that did not stop and were heard of in the last five minutes.';
COMMENT ON COLUMN job_worker_status.id IS 'job_workers.id.';
COMMENT ON COLUMN job_worker_status.name IS 'What it calls itself.';
COMMENT ON COLUMN job_worker_status.hostname IS 'The host it runs on.';
COMMENT ON COLUMN job_worker_status.pid IS 'Its process id there.';
COMMENT ON COLUMN job_worker_status.status IS 'ACTIVE (claims) | DRAINING (finishes what it has) | LOST (its lease ran out).';
COMMENT ON COLUMN job_worker_status.state IS 'active, or inactive after 60 s without a heartbeat.';
COMMENT ON COLUMN job_worker_status.queues IS 'The queues it claims from; empty: it only plans.';
COMMENT ON COLUMN job_worker_status.pool_size IS 'How many executions it runs at once.';
COMMENT ON COLUMN job_worker_status.running_count IS 'Attempts running at the last heartbeat.';
COMMENT ON COLUMN job_worker_status.succeeded_count IS 'Attempts that succeeded since it started.';
COMMENT ON COLUMN job_worker_status.failed_count IS 'Attempts that did not succeed since it started.';
COMMENT ON COLUMN job_worker_status.silent_for IS 'Time since the last heartbeat.';
COMMENT ON COLUMN job_worker_status.started_at IS 'When it registered.';
COMMENT ON COLUMN job_worker_status.version IS 'The version of the package it runs.';
COMMENT ON COLUMN job_worker_status.loops IS 'Loop -> {"age": seconds since it last succeeded, "limit": what is too old}. NULL: it does not tell.';
COMMENT ON COLUMN job_worker_status.stalled IS 'Loop -> seconds, of those that were too old at the last heartbeat. {}: none, or it is LOST.';
COMMENT ON VIEW job_attempts IS 'Each unsuccessful attempt with its traceback: the first and the last 19 of an execution. Filter by execution_id.';
COMMENT ON COLUMN job_attempts.execution_id IS 'job_executions.id.';
COMMENT ON COLUMN job_attempts.handler_name IS 'The handler that ran.';
COMMENT ON COLUMN job_attempts.cron_job_id IS 'The cron job it belongs to. NULL: none.';
COMMENT ON COLUMN job_attempts.attempt IS 'Which attempt it was, from 1 on.';
COMMENT ON COLUMN job_attempts.outcome IS 'failure | timeout | cancelled | lost.';
COMMENT ON COLUMN job_attempts.at IS 'When it ended.';
COMMENT ON COLUMN job_attempts.worker IS 'The worker (job_workers.id) that ran it.';
COMMENT ON COLUMN job_attempts.error IS 'What went wrong; its first line says it.';
COMMENT ON COLUMN job_attempts.traceback IS 'Where in the handler. NULL: there is none.';
COMMENT ON VIEW job_history IS 'Final executions, every column of job_executions: the name that stays wherever they may be stored one day.';
COMMENT ON COLUMN job_history.id IS 'What cancel_job() and retry_job() take.';
COMMENT ON COLUMN job_history.source IS 'Where it came from: enqueue | tick | manual | backfill | message.';
COMMENT ON COLUMN job_history.cron_job_id IS 'The cron job (cron_jobs.id) it belongs to; the row may outlive it. NULL: it belongs to none.';
COMMENT ON COLUMN job_history.handler_name IS 'The handler that runs it: a registered name, never a path to code.';
COMMENT ON COLUMN job_history.handler_params IS 'JSON handed to the handler; at most 1 MiB as text.';
COMMENT ON COLUMN job_history.queue IS 'The queue it waits under; workers claim from the queues they serve.';
COMMENT ON COLUMN job_history.priority IS '-9 to 9; higher runs first within its queue.';
COMMENT ON COLUMN job_history.status IS 'PENDING | RUNNING | SUCCESS | FAILED | TIMEOUT | CANCELLED | SKIPPED. FAILED and TIMEOUT are dead letters.';
COMMENT ON COLUMN job_history.scheduled_at IS 'The nominal tick, or when it was asked for.';
COMMENT ON COLUMN job_history.available_at IS 'Not to be claimed before this: a delay, a jitter, the backoff after a failure.';
COMMENT ON COLUMN job_history.timeout_seconds IS 'Seconds an attempt may take. NULL until a claim writes what is in force: the handler''s own, else 300.';
COMMENT ON COLUMN job_history.retry_count IS 'Failed and timed-out attempts so far; at max_retry it is final. retry_job() begins at 0 again.';
COMMENT ON COLUMN job_history.max_retry IS 'How often it may fail in all; 0 and 1: no second try. NULL until claimed: the handler''s own, else 3.';
COMMENT ON COLUMN job_history.retry_backoff IS 'fixed | linear | exponential: the delay times 1, n, or 2^(n-1) after n failures. NULL until claimed, as timeout_seconds.';
COMMENT ON COLUMN job_history.retry_delay_seconds IS 'Seconds, 0 to 86400: what the backoff multiplies; a wait is at most a day. NULL until claimed: the handler''s, else 2.';
COMMENT ON COLUMN job_history.attempt IS 'How often it was claimed, whatever came of it.';
COMMENT ON COLUMN job_history.claim_token IS 'The fence: every write of an attempt names it. Kept when final, NULL while waiting.';
COMMENT ON COLUMN job_history.claimed_by IS 'The worker (job_workers.id) that has it or had it last. Kept when final, NULL while waiting.';
COMMENT ON COLUMN job_history.started_at IS 'While RUNNING: the claim. Afterwards: when the handler began its last attempt. NULL: never claimed.';
COMMENT ON COLUMN job_history.finished_at IS 'When it became final. NULL: PENDING or RUNNING.';
COMMENT ON COLUMN job_history.suspect IS 'Its last worker was lost while holding it; false again at its next outcome.';
COMMENT ON COLUMN job_history.cancel_requested_at IS 'Somebody asked for it to stop. Success still wins; every other outcome becomes CANCELLED.';
COMMENT ON COLUMN job_history.cancel_reason IS 'Why, as cancel_job() was told.';
COMMENT ON COLUMN job_history.progress IS '0 to 1, as the handler last said. NULL: it said nothing.';
COMMENT ON COLUMN job_history.progress_message IS 'What the handler said with it.';
COMMENT ON COLUMN job_history.result IS 'JSON that the handler returned. NULL: not SUCCESS, or nothing was returned.';
COMMENT ON COLUMN job_history.error IS 'The last error, or why it was skipped or cancelled; its first line says it. NULL: none, or SUCCESS since.';
COMMENT ON COLUMN job_history.errors IS 'Unsuccessful attempts, the first and the last 19: attempt, outcome, at, worker, error, traceback. See job_attempts.';
COMMENT ON COLUMN job_history.unique_key IS 'At most one row with this key for as long as unique_until says. NULL: no such bound.';
COMMENT ON COLUMN job_history.unique_until IS 'started: until its first claim; finished: until final; forever: as long as the row exists.';
COMMENT ON COLUMN job_history.concurrency_key IS 'At most concurrency_limit rows with this key run at once, over all workers; cron:ID for ticks that may not overlap.';
COMMENT ON COLUMN job_history.concurrency_limit IS 'How many rows with this concurrency_key may run at once, 1 or more. NULL: 1.';
COMMENT ON COLUMN job_history.skipped_count IS 'Ticks that a SKIPPED row stands for, from scheduled_at to skipped_until; 10000: at least so many. NULL: not SKIPPED.';
COMMENT ON COLUMN job_history.skipped_until IS 'The last tick a SKIPPED row stands for. NULL: not SKIPPED.';
COMMENT ON COLUMN job_history.notify_done IS 'Somebody waits for its end, which is notified.';
COMMENT ON COLUMN job_history.lifted IS 'How often it has waited for aging_seconds of its queue, each of which lifts priority by 1, up to 9. NULL: never.';
COMMENT ON COLUMN job_history.created_at IS 'When the row was inserted.';
COMMENT ON COLUMN job_history.took IS 'Duration of the last attempt. NULL: never claimed.';
COMMENT ON VIEW job_in_doubt IS 'What is prepared and not ended, as far as this server sees, and decisions that some participant may not have heard of yet.';
COMMENT ON COLUMN job_in_doubt.gid IS 'As in pg_prepared_xacts there, or, of a decision, as in job_transactions.';
COMMENT ON COLUMN job_in_doubt.database IS 'The database of this server that it is prepared in. NULL: a decision that is 30 s old, with a participant to hear of it.';
COMMENT ON COLUMN job_in_doubt.decision IS 'COMMIT | ABORT: what the resolver carries out. UNDECIDED: its coordinator is at work, or the resolver says ABORT soon.';
COMMENT ON COLUMN job_in_doubt.since IS 'When it was prepared, or decided.';
COMMENT ON COLUMN job_in_doubt.age IS 'Time since then.';
COMMENT ON COLUMN job_in_doubt.owner IS 'The role that prepared it, which alone may end it, or a superuser. NULL: a decision.';
COMMENT ON COLUMN job_in_doubt.participants IS 'The names of the databases that prepared. NULL: not decided.';
COMMENT ON COLUMN job_in_doubt.execution_id IS 'The execution (job_executions.id) that it was part of. NULL: none, or not decided.';
COMMENT ON VIEW job_audit_log IS 'Who did what, and with what. SELECT * FROM job_audit_log ORDER BY id DESC LIMIT 20;';
COMMENT ON COLUMN job_audit_log.id IS 'In the order in which it was done.';
COMMENT ON COLUMN job_audit_log.at IS 'When.';
COMMENT ON COLUMN job_audit_log.who IS 'The token or person where the session says so (the setting scheduler.actor), else the database role.';
COMMENT ON COLUMN job_audit_log.action IS 'What, such as cron_job.pause or execution.retry; job_audit lists them.';
COMMENT ON COLUMN job_audit_log.target IS 'With what: the name of the cron job, queue or token, or the id of the execution.';
COMMENT ON COLUMN job_audit_log.changes IS 'Column -> [before, after], or what else there is to say. NULL: nothing more.';
COMMENT ON COLUMN job_audit_log.role IS 'The database role.';
COMMENT ON COLUMN job_audit_log.application IS 'The application_name of the session: psql, scheduler command, scheduler web.';
COMMENT ON VIEW cron_job_late IS 'Ticks that are late: due and not planned, or, of a cron job with max_start_delay_seconds, among its newest 10 and not started.';
COMMENT ON COLUMN cron_job_late.name IS 'The cron job.';
COMMENT ON COLUMN cron_job_late.reason IS 'not planned, or never planned (no planner is at work) | not started (no worker has taken it).';
COMMENT ON COLUMN cron_job_late.tick IS 'The tick that is late. NULL: none has been computed yet.';
COMMENT ON COLUMN cron_job_late.late_by IS 'For how long it could have been planned, or started; without a tick, since the last edit.';
COMMENT ON COLUMN cron_job_late.execution_id IS 'job_executions.id. NULL: there is none yet.';
COMMENT ON COLUMN cron_job_late.cron_job_id IS 'cron_jobs.id.';
COMMENT ON VIEW cron_job_slow IS 'Cron jobs whose newest execution that started has taken longer than expected_duration_seconds, whether or not it has ended.';
COMMENT ON COLUMN cron_job_slow.name IS 'The cron job.';
COMMENT ON COLUMN cron_job_slow.status IS 'As in job_executions: RUNNING, or how it ended.';
COMMENT ON COLUMN cron_job_slow.took IS 'Duration of its last attempt; of one that runs, until now.';
COMMENT ON COLUMN cron_job_slow.expected IS 'expected_duration_seconds, as an interval.';
COMMENT ON COLUMN cron_job_slow.execution_id IS 'job_executions.id.';
COMMENT ON COLUMN cron_job_slow.cron_job_id IS 'cron_jobs.id.';
