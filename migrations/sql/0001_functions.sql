CREATE FUNCTION job_channel() RETURNS text LANGUAGE sql STABLE
RETURN 'scheduler_' || (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'job_executions'::regclass);
COMMENT ON FUNCTION job_channel() IS 'Used inside others: the NOTIFY channel of this schema. Payloads are empty, for a wake-up is only a hint to look.';

CREATE FUNCTION job_retry_delay(backoff text, delay_seconds double precision, failures integer) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN least(86400, delay_seconds * CASE backoff WHEN 'fixed' THEN 1 WHEN 'linear' THEN failures ELSE 2.0 ^ least(failures - 1, 40) END);
COMMENT ON FUNCTION job_retry_delay(text, double precision, integer) IS 'Used inside others: seconds before the next try after so many failures, at most 86400, without the jitter of 10 %.';

CREATE FUNCTION job_errors_with(errors jsonb, entry jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN CASE WHEN jsonb_array_length(errors) >= 20 THEN errors - 1 ELSE errors END || jsonb_build_array(entry);
COMMENT ON FUNCTION job_errors_with(jsonb, jsonb) IS 'Used inside others: job_executions.errors with one more entry, of which the first and the last 19 are kept.';


-- Wake-ups ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION job_executions_wake() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM job_workers WHERE wake_until > job_now()) THEN
        PERFORM pg_notify(job_channel(), '');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION job_executions_wake() IS 'Trigger: notifies of new executions, only while some worker sleeps, for NOTIFY makes concurrent commits wait for each other.';
CREATE TRIGGER job_executions_wake AFTER INSERT ON job_executions FOR EACH STATEMENT EXECUTE FUNCTION job_executions_wake();

CREATE FUNCTION cron_jobs_edited() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.next_run_at := NULL;
        NEW.planned_until := job_now();
        NEW.invalid_reason := NULL;
    ELSIF (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at, NEW.enabled)
          IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at, OLD.enabled) THEN
        IF OLD.planned_until < job_now() AND OLD.invalid_reason IS NULL THEN
            -- A hundred are enough for a row that nobody plans; whoever reads them reckons with any text in them.
            NEW.unplanned := CASE WHEN jsonb_array_length(OLD.unplanned) >= 100 THEN OLD.unplanned - 0 ELSE coalesce(OLD.unplanned, '[]') END
                || jsonb_build_object('since', OLD.planned_until, 'until', job_now(),
                                      'because', CASE WHEN NOT OLD.enabled THEN 'paused' WHEN NOT NEW.enabled THEN 'pause' ELSE 'edit' END,
                                      'cron_expression', left(OLD.cron_expression, 201), 'timezone', left(OLD.timezone, 100),
                                      'starts_at', OLD.starts_at, 'ends_at', OLD.ends_at);
        END IF;
        IF OLD.planned_until > job_now() THEN
            -- A skip ends with it: its row stands for no tick to come, and for how many it stood is not known here.
            DELETE FROM job_executions WHERE cron_job_id = OLD.id AND status = 'SKIPPED' AND source = 'manual' AND scheduled_at > job_now();
            UPDATE job_executions SET skipped_until = job_now(), skipped_count = NULL, error = error || ', ended by an edit of the cron job'
            WHERE cron_job_id = OLD.id AND status = 'SKIPPED' AND source = 'manual' AND skipped_until > job_now();
        END IF;
        NEW.next_run_at := NULL;
        NEW.planned_until := job_now();
        NEW.invalid_reason := NULL;
        NEW.updated_at := job_now();
    ELSIF (NEW.planned_until, NEW.invalid_reason, NEW.tzdata_version) IS NOT DISTINCT FROM (OLD.planned_until, OLD.invalid_reason, OLD.tzdata_version) THEN
        -- By hand, for each write of the planner's changes one of these.
        NEW.next_run_at := CASE WHEN NEW.next_run_at IS NOT DISTINCT FROM OLD.next_run_at THEN OLD.next_run_at END;
        NEW.updated_at := job_now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION cron_jobs_edited() IS 'Trigger: an edit of the schedule counts from now; what was due before it is not made up for. Keeps updated_at.';
CREATE TRIGGER cron_jobs_edited BEFORE INSERT OR UPDATE ON cron_jobs FOR EACH ROW EXECUTE FUNCTION cron_jobs_edited();

CREATE FUNCTION cron_jobs_wake() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify(job_channel(), '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION cron_jobs_wake() IS 'Trigger: notifies the planners of an edit. Their own updates name none of these columns.';
CREATE TRIGGER cron_jobs_wake AFTER INSERT OR UPDATE OF cron_expression, timezone, starts_at, ends_at, enabled ON cron_jobs FOR EACH STATEMENT EXECUTE FUNCTION cron_jobs_wake();


-- What anybody may call -----------------------------------------------------------------------------------------------

CREATE FUNCTION enqueue_job(
    handler_name text, handler_params jsonb DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 0,
    delay_seconds double precision DEFAULT 0, available_at timestamptz DEFAULT NULL, timeout_seconds double precision DEFAULT NULL,
    max_retry integer DEFAULT NULL, retry_backoff text DEFAULT NULL, retry_delay_seconds double precision DEFAULT NULL,
    unique_key text DEFAULT NULL, unique_until text DEFAULT 'finished',
    concurrency_key text DEFAULT NULL, concurrency_limit integer DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    new_id bigint;
BEGIN
    FOR i IN 1..10 LOOP
        INSERT INTO job_executions (handler_name, handler_params, queue, priority, available_at, timeout_seconds, max_retry, retry_backoff,
                                    retry_delay_seconds, unique_key, unique_until, concurrency_key, concurrency_limit)
        VALUES (enqueue_job.handler_name, enqueue_job.handler_params, enqueue_job.queue, enqueue_job.priority,
                coalesce(enqueue_job.available_at, job_now()) + make_interval(secs => enqueue_job.delay_seconds),
                enqueue_job.timeout_seconds, enqueue_job.max_retry, enqueue_job.retry_backoff, enqueue_job.retry_delay_seconds,
                enqueue_job.unique_key, enqueue_job.unique_until, enqueue_job.concurrency_key, enqueue_job.concurrency_limit)
        ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL
            AND (unique_until = 'forever' OR (unique_until = 'finished' AND status IN ('PENDING', 'RUNNING'))
                 OR (unique_until = 'started' AND status = 'PENDING' AND attempt = 0))
        DO NOTHING
        RETURNING id INTO new_id;
        EXIT WHEN new_id IS NOT NULL;
        SELECT e.id INTO new_id FROM job_executions e
        WHERE e.unique_key = enqueue_job.unique_key
          AND (e.unique_until = 'forever' OR (e.unique_until = 'finished' AND e.status IN ('PENDING', 'RUNNING'))
               OR (e.unique_until = 'started' AND e.status = 'PENDING' AND e.attempt = 0));
        EXIT WHEN new_id IS NOT NULL;    -- else the row in the way has just left; try again
    END LOOP;
    IF new_id IS NULL THEN
        RAISE EXCEPTION 'unique_key "%" was taken and left ten times in a row', enqueue_job.unique_key USING ERRCODE = 'serialization_failure', HINT = 'Enqueue again.';
    END IF;
    RETURN new_id;
END $$;
COMMENT ON FUNCTION enqueue_job IS 'Enqueues one execution and returns its id; where unique_key is taken, the id of the row that holds it. SELECT enqueue_job(''email'', ''{"to": "ada@example.com"}'', delay_seconds => 60);';

CREATE FUNCTION cancel_job(id bigint, reason text DEFAULT NULL) RETURNS text LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION cancel_job IS 'Cancels a waiting execution at once and asks a running one to stop. Returns the status it has now; a final one keeps its own.';

CREATE FUNCTION retry_job(id bigint) RETURNS text LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
    PERFORM pg_notify(job_channel(), '');
    RETURN 'PENDING';
END $$;
COMMENT ON FUNCTION retry_job IS 'Sends a final execution back to PENDING with all its tries; attempt and errors are kept. Returns the status it has now: SKIPPED stays, and so does, with a warning, one whose unique_key another row holds.';

CREATE FUNCTION run_cron_job(name text) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO job_executions (source, cron_job_id, handler_name, handler_params, queue, priority, timeout_seconds, max_retry, retry_backoff,
                                retry_delay_seconds, concurrency_key, concurrency_limit)
    SELECT 'manual', c.id, c.handler_name, c.handler_params, c.queue, c.priority, c.timeout_seconds, c.max_retry, c.retry_backoff,
           c.retry_delay_seconds, CASE WHEN c.overlap_policy <> 'allow' THEN 'cron:' || c.id END, CASE WHEN c.overlap_policy <> 'allow' THEN 1 END
    FROM cron_jobs c WHERE c.name = run_cron_job.name
    RETURNING id INTO new_id;
    IF new_id IS NULL THEN
        RAISE EXCEPTION 'no cron job is named "%"', run_cron_job.name USING ERRCODE = 'no_data_found', HINT = 'SELECT name FROM cron_jobs lists them.';
    END IF;
    RETURN new_id;
END $$;
COMMENT ON FUNCTION run_cron_job IS 'Enqueues an execution of a cron job now, apart from its schedule and also while it is paused; returns its id. It waits where ticks may not overlap.';

CREATE FUNCTION pause_cron_job(name text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    UPDATE cron_jobs c SET enabled = false WHERE c.name = pause_cron_job.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no cron job is named "%"', pause_cron_job.name USING ERRCODE = 'no_data_found', HINT = 'SELECT name FROM cron_jobs lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION pause_cron_job IS 'Stops planning a cron job; what is planned already still runs.';

CREATE FUNCTION resume_cron_job(name text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    UPDATE cron_jobs c SET enabled = true WHERE c.name = resume_cron_job.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no cron job is named "%"', resume_cron_job.name USING ERRCODE = 'no_data_found', HINT = 'SELECT name FROM cron_jobs lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION resume_cron_job IS 'Plans a cron job again from now on; what fell into the pause is not made up for.';

CREATE FUNCTION cron_job_tick_at(name text, at timestamptz DEFAULT job_now()) RETURNS TABLE (
    covers boolean, scheduled_at timestamptz, skipped_until timestamptz, execution_id bigint, status text, started_at timestamptz, finished_at timestamptz, why text
) LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    found_id bigint;
BEGIN
    SELECT c.id INTO found_id FROM cron_jobs c WHERE c.name = cron_job_tick_at.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no cron job is named "%"', cron_job_tick_at.name USING ERRCODE = 'no_data_found', HINT = 'SELECT name FROM cron_jobs lists them.';
    END IF;
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
END $$;
COMMENT ON FUNCTION cron_job_tick_at IS 'What accounts for the newest tick of a cron job at or before an instant; covers is false where the instant itself was no tick, or is not planned yet. No row: no tick so far. Two index probes, however long the history.';

CREATE FUNCTION job_queue_is_known(name text) RETURNS boolean LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT EXISTS (SELECT FROM job_queues q WHERE q.name = job_queue_is_known.name)
        OR EXISTS (SELECT FROM job_workers w WHERE job_queue_is_known.name = ANY(w.queues))
        OR EXISTS (SELECT FROM cron_jobs c WHERE c.queue = job_queue_is_known.name)
        OR EXISTS (SELECT FROM job_executions e WHERE e.queue = job_queue_is_known.name AND e.status = 'PENDING' AND e.concurrency_key IS NULL)
        OR EXISTS (SELECT FROM job_executions e WHERE e.queue = job_queue_is_known.name AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL);
$$;
COMMENT ON FUNCTION job_queue_is_known IS 'Whether settings, a worker, a cron job or a waiting execution name this queue; queues exist by being named.';

CREATE FUNCTION pause_queue(name text, reason text DEFAULT NULL, resume_at timestamptz DEFAULT NULL) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    IF NOT job_queue_is_known(pause_queue.name) THEN
        RAISE WARNING 'nothing names a queue "%" so far; it is paused for whoever comes', pause_queue.name
            USING HINT = 'SELECT queue FROM job_queue_status lists those in use. If this one was mistyped: DELETE FROM job_queues WHERE name = ' || quote_literal(pause_queue.name) || ';';
    END IF;
    INSERT INTO job_queues AS q (name, paused, paused_reason, resume_at) VALUES (pause_queue.name, true, pause_queue.reason, pause_queue.resume_at)
    ON CONFLICT (name) DO UPDATE SET paused = true, paused_reason = excluded.paused_reason, resume_at = excluded.resume_at;
END $$;
COMMENT ON FUNCTION pause_queue IS 'Nothing more is claimed from the queue until resume_queue() or resume_at; what runs goes on. Warns of a name that nothing has. SELECT pause_queue(''mail'', ''provider is down'', now() + interval ''1 hour'');';

CREATE FUNCTION resume_queue(name text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    IF NOT job_queue_is_known(resume_queue.name) THEN
        RAISE EXCEPTION 'nothing names a queue "%"', resume_queue.name USING ERRCODE = 'no_data_found', HINT = 'SELECT queue FROM job_queue_status lists those in use.';
    END IF;
    UPDATE job_queues q SET paused = false, paused_reason = NULL, resume_at = NULL WHERE q.name = resume_queue.name;
    PERFORM pg_notify(job_channel(), '');
END $$;
COMMENT ON FUNCTION resume_queue IS 'Ends the pause of a queue; harmless where it is not paused.';


-- The worker protocol, for workers in any language -------------------------------------------------------------------

CREATE FUNCTION register_worker(name text, queues text[] DEFAULT '{default}', pool_size integer DEFAULT 1, hostname text DEFAULT '', pid integer DEFAULT NULL, lease_seconds double precision DEFAULT 30, version text DEFAULT '') RETURNS uuid LANGUAGE sql SET search_path FROM CURRENT AS $$
    INSERT INTO job_workers (name, queues, pool_size, hostname, pid, lease_until, version)
    VALUES (register_worker.name, register_worker.queues, register_worker.pool_size, register_worker.hostname, register_worker.pid,
            job_now() + make_interval(secs => register_worker.lease_seconds), register_worker.version)
    RETURNING id;
$$;
COMMENT ON FUNCTION register_worker IS 'Worker protocol, 1: makes a worker and returns its id. Its claims are valid for lease_seconds; renew them in time with heartbeat_worker().';

CREATE FUNCTION heartbeat_worker(id uuid, lease_seconds double precision DEFAULT 30) RETURNS boolean LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_workers w SET heartbeat_at = job_now(), lease_until = job_now() + make_interval(secs => heartbeat_worker.lease_seconds)
    WHERE w.id = heartbeat_worker.id AND w.status IN ('ACTIVE', 'DRAINING')
    RETURNING true;
$$;
COMMENT ON FUNCTION heartbeat_worker IS 'Worker protocol, 2: renews the lease, from now on for lease_seconds. NULL: it is lost; stop all attempts and register anew.';

CREATE FUNCTION claim_jobs(worker uuid, queue text DEFAULT 'default', n integer DEFAULT 1) RETURNS TABLE (id bigint, claim_token uuid, handler_name text, handler_params jsonb, attempt integer, timeout_seconds double precision, scheduled_at timestamptz) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    token uuid := gen_random_uuid();
    ids bigint[];
    candidate record;
BEGIN
    PERFORM FROM job_workers w WHERE w.id = worker AND w.status = 'ACTIVE' AND w.heartbeat_at <= job_now() AND job_now() < w.lease_until;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % has no valid lease', worker USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call register_worker again and heartbeat_worker in time.';
    END IF;
    IF EXISTS (SELECT FROM job_queues q WHERE q.name = claim_jobs.queue AND q.paused AND (q.resume_at IS NULL OR q.resume_at > job_now())) THEN
        RETURN;
    END IF;
    -- Keyed rows: the key's lock first, the count in the next statement, so that no claim counts a stale snapshot.
    FOR candidate IN
        SELECT e.id, e.concurrency_key, coalesce(e.concurrency_limit, 1) AS at_once, e.tableoid AS relation FROM job_executions e
        WHERE e.queue = claim_jobs.queue AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL AND e.available_at <= (SELECT job_now())
          AND (SELECT count(*) FROM job_executions r WHERE r.concurrency_key = e.concurrency_key AND r.status = 'RUNNING') < coalesce(e.concurrency_limit, 1)
        ORDER BY e.priority DESC, e.available_at, e.id LIMIT n FOR UPDATE SKIP LOCKED
    LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended(candidate.concurrency_key, candidate.relation::bigint));
        CONTINUE WHEN (SELECT count(*) FROM job_executions r WHERE r.concurrency_key = candidate.concurrency_key AND r.status IN ('PENDING', 'RUNNING')
                       AND (r.status = 'RUNNING' OR r.id = ANY(ids))) >= candidate.at_once;
        ids := ids || candidate.id;
    END LOOP;
    ids := ids || ARRAY(
        SELECT e.id FROM job_executions e
        WHERE e.queue = claim_jobs.queue AND e.status = 'PENDING' AND e.concurrency_key IS NULL AND e.available_at <= (SELECT job_now())
        ORDER BY e.priority DESC, e.available_at, e.id LIMIT n - coalesce(cardinality(ids), 0) FOR UPDATE SKIP LOCKED);
    RETURN QUERY
        UPDATE job_executions e
        SET status = 'RUNNING', attempt = least(e.attempt, 2147483646) + 1, claimed_by = worker, claim_token = token, started_at = job_now(),
            timeout_seconds = coalesce(e.timeout_seconds, 300), max_retry = coalesce(e.max_retry, 3),
            retry_backoff = coalesce(e.retry_backoff, 'exponential'), retry_delay_seconds = coalesce(e.retry_delay_seconds, 2)
        WHERE e.id = ANY(ids)
        RETURNING e.id, e.claim_token, e.handler_name, e.handler_params, e.attempt, e.timeout_seconds, e.scheduled_at;
END $$;
COMMENT ON FUNCTION claim_jobs IS 'Worker protocol, 3: claims up to n executions of one queue, highest priority first, then oldest. End each with complete_job() or fail_job(), naming its claim_token, within its timeout_seconds.';

CREATE FUNCTION complete_job(id bigint, token uuid, result jsonb DEFAULT NULL) RETURNS boolean LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_executions e SET status = 'SUCCESS', finished_at = job_now(), result = complete_job.result, error = NULL, suspect = false
    WHERE e.id = complete_job.id AND e.claim_token = complete_job.token AND e.status = 'RUNNING'
    RETURNING true;
$$;
COMMENT ON FUNCTION complete_job IS 'Worker protocol, 4: records SUCCESS. NULL: the claim is lost and nothing was recorded, unless the row is final with this very token, by an earlier call.';

CREATE FUNCTION fail_job(id bigint, token uuid, error text) RETURNS text LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_executions e
    SET status = CASE WHEN e.cancel_requested_at IS NOT NULL THEN 'CANCELLED' WHEN e.retry_count + 1 < e.max_retry THEN 'PENDING' ELSE 'FAILED' END,
        retry_count = e.retry_count + 1, suspect = false,
        error = CASE WHEN e.cancel_requested_at IS NULL THEN fail_job.error ELSE coalesce(e.cancel_reason, 'cancelled by request') END,
        errors = job_errors_with(e.errors, jsonb_build_object('attempt', e.attempt, 'outcome', 'failure', 'at', job_now(), 'worker', e.claimed_by, 'error', left(fail_job.error, 8192))),
        finished_at = CASE WHEN e.cancel_requested_at IS NULL AND e.retry_count + 1 < e.max_retry THEN NULL ELSE job_now() END,
        available_at = CASE WHEN e.cancel_requested_at IS NULL AND e.retry_count + 1 < e.max_retry
                            THEN greatest(e.available_at, job_now() + make_interval(secs => job_retry_delay(e.retry_backoff, e.retry_delay_seconds, e.retry_count + 1) * (0.9 + 0.2 * random())))
                            ELSE e.available_at END,
        claim_token = CASE WHEN e.cancel_requested_at IS NULL AND e.retry_count + 1 < e.max_retry THEN NULL ELSE e.claim_token END,
        claimed_by = CASE WHEN e.cancel_requested_at IS NULL AND e.retry_count + 1 < e.max_retry THEN NULL ELSE e.claimed_by END
    WHERE e.id = fail_job.id AND e.claim_token = fail_job.token AND e.status = 'RUNNING'
    RETURNING e.status;
$$;
COMMENT ON FUNCTION fail_job IS 'Worker protocol, 4: records a failed attempt and returns the status the row has now: PENDING if it is tried again. NULL: the claim is lost and nothing was recorded.';
