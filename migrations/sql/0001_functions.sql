CREATE FUNCTION job_channel() RETURNS text LANGUAGE sql STABLE
RETURN 'scheduler_' || (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'job_executions'::regclass);
COMMENT ON FUNCTION job_channel() IS 'The NOTIFY channel of this schema. Payloads are empty: a wake-up is only a hint to look.';

CREATE FUNCTION job_retry_delay(backoff text, delay_seconds double precision, failures integer) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN least(86400, delay_seconds * CASE backoff WHEN 'fixed' THEN 1 WHEN 'linear' THEN failures ELSE 2.0 ^ least(failures - 1, 40) END);
COMMENT ON FUNCTION job_retry_delay(text, double precision, integer) IS 'Seconds before the next try after so many failures, without jitter.';

CREATE FUNCTION job_errors_with(errors jsonb, entry jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN CASE WHEN jsonb_array_length(errors) >= 20 THEN errors - 1 ELSE errors END || jsonb_build_array(entry);
COMMENT ON FUNCTION job_errors_with(jsonb, jsonb) IS 'job_executions.errors with one more entry: the first and the last 19 are kept.';


-- Wake-ups ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION job_executions_wake() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM job_workers WHERE wake_until > job_now()) THEN
        PERFORM pg_notify(job_channel(), '');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION job_executions_wake() IS 'Notifies of new executions, only while some worker sleeps: NOTIFY makes concurrent commits wait for each other.';
CREATE TRIGGER job_executions_wake AFTER INSERT ON job_executions FOR EACH STATEMENT EXECUTE FUNCTION job_executions_wake();

CREATE FUNCTION cron_jobs_edited() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.next_run_at := NULL;
        NEW.planned_until := job_now();
        NEW.invalid_reason := NULL;
    ELSIF (NEW.cron_expression, NEW.timezone, NEW.starts_at, NEW.ends_at, NEW.enabled)
          IS DISTINCT FROM (OLD.cron_expression, OLD.timezone, OLD.starts_at, OLD.ends_at, OLD.enabled) THEN
        NEW.next_run_at := NULL;
        NEW.planned_until := job_now();
        NEW.invalid_reason := NULL;
        NEW.updated_at := job_now();
    ELSIF NEW.next_run_at IS DISTINCT FROM OLD.next_run_at AND NEW.planned_until IS NOT DISTINCT FROM OLD.planned_until THEN
        NEW.next_run_at := NULL;    -- set by hand: the planner computes it anew
        NEW.updated_at := job_now();
    ELSIF NEW.planned_until IS NOT DISTINCT FROM OLD.planned_until THEN
        NEW.updated_at := job_now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION cron_jobs_edited() IS 'An edit of the schedule counts from now: what was due before it under the old one is not made up under the new one.';
CREATE TRIGGER cron_jobs_edited BEFORE INSERT OR UPDATE ON cron_jobs FOR EACH ROW EXECUTE FUNCTION cron_jobs_edited();

CREATE FUNCTION cron_jobs_wake() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify(job_channel(), '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION cron_jobs_wake() IS 'Notifies the planners of an edit. The planner''s own updates name none of these columns.';
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
COMMENT ON FUNCTION enqueue_job IS 'Enqueues one execution and returns its id; with a unique_key that is taken, the id of the row that holds it. Example: SELECT enqueue_job(''email'', ''{"to": "a@example.com"}'', delay_seconds => 60);';

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
    RETURN found_status;
END $$;
COMMENT ON FUNCTION cancel_job IS 'Cancels a waiting execution at once, asks a running one to stop; returns the status it has now, NULL if there is no such id.';

CREATE FUNCTION retry_job(id bigint) RETURNS text LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    found_status text;
BEGIN
    UPDATE job_executions e
    SET status = 'PENDING', available_at = greatest(e.available_at, job_now()), retry_count = 0, suspect = false, claim_token = NULL, claimed_by = NULL,
        started_at = NULL, finished_at = NULL, cancel_requested_at = NULL, cancel_reason = NULL, progress = NULL, progress_message = NULL,
        result = NULL, error = NULL
    WHERE e.id = retry_job.id AND e.status IN ('SUCCESS', 'FAILED', 'TIMEOUT', 'CANCELLED')
    RETURNING e.status INTO found_status;
    IF found_status IS NULL THEN
        SELECT e.status INTO found_status FROM job_executions e WHERE e.id = retry_job.id;
    ELSE
        PERFORM pg_notify(job_channel(), '');
    END IF;
    RETURN found_status;
END $$;
COMMENT ON FUNCTION retry_job IS 'Sends a final execution back to PENDING with all its tries; attempt and errors are kept. SKIPPED rows stay. Returns the status it has now, NULL if there is no such id.';

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
COMMENT ON FUNCTION run_cron_job IS 'Enqueues a cron job now, apart from its schedule, and returns the execution''s id.';

CREATE FUNCTION pause_cron_job(name text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    UPDATE cron_jobs c SET enabled = false WHERE c.name = pause_cron_job.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no cron job is named "%"', pause_cron_job.name USING ERRCODE = 'no_data_found', HINT = 'SELECT name FROM cron_jobs lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION pause_cron_job IS 'Stops planning it; what is planned still runs.';

CREATE FUNCTION resume_cron_job(name text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    UPDATE cron_jobs c SET enabled = true WHERE c.name = resume_cron_job.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no cron job is named "%"', resume_cron_job.name USING ERRCODE = 'no_data_found', HINT = 'SELECT name FROM cron_jobs lists them.';
    END IF;
END $$;
COMMENT ON FUNCTION resume_cron_job IS 'Plans it again from now; the pause is not made up.';

CREATE FUNCTION pause_queue(name text, reason text DEFAULT NULL, resume_at timestamptz DEFAULT NULL) RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    INSERT INTO job_queues AS q (name, paused, paused_reason, resume_at) VALUES (pause_queue.name, true, pause_queue.reason, pause_queue.resume_at)
    ON CONFLICT (name) DO UPDATE SET paused = true, paused_reason = excluded.paused_reason, resume_at = excluded.resume_at;
$$;
COMMENT ON FUNCTION pause_queue IS 'Nothing more is claimed from it, until resume_queue or resume_at; what runs goes on.';

CREATE FUNCTION resume_queue(name text) RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_queues q SET paused = false, paused_reason = NULL, resume_at = NULL WHERE q.name = resume_queue.name;
    SELECT pg_notify(job_channel(), '');
$$;
COMMENT ON FUNCTION resume_queue IS 'Claims from it again.';


-- The worker protocol, for workers in any language -------------------------------------------------------------------

CREATE FUNCTION register_worker(name text, queues text[] DEFAULT '{default}', pool_size integer DEFAULT 1, hostname text DEFAULT '', pid integer DEFAULT NULL, lease_seconds double precision DEFAULT 30, version text DEFAULT '') RETURNS uuid LANGUAGE sql SET search_path FROM CURRENT AS $$
    INSERT INTO job_workers (name, queues, pool_size, hostname, pid, lease_until, version)
    VALUES (register_worker.name, register_worker.queues, register_worker.pool_size, register_worker.hostname, register_worker.pid,
            job_now() + make_interval(secs => register_worker.lease_seconds), register_worker.version)
    RETURNING id;
$$;
COMMENT ON FUNCTION register_worker IS 'Makes a worker and returns its id. Call heartbeat_worker well within lease_seconds.';

CREATE FUNCTION heartbeat_worker(id uuid, lease_seconds double precision DEFAULT 30) RETURNS boolean LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_workers w SET heartbeat_at = job_now(), lease_until = job_now() + make_interval(secs => heartbeat_worker.lease_seconds)
    WHERE w.id = heartbeat_worker.id AND w.status IN ('ACTIVE', 'DRAINING')
    RETURNING true;
$$;
COMMENT ON FUNCTION heartbeat_worker IS 'Renews the lease. NULL means that it is lost: stop all attempts and register anew.';

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
COMMENT ON FUNCTION claim_jobs IS 'Claims up to n executions of a queue for a worker. Finish each with complete_job or fail_job, naming its claim_token.';

CREATE FUNCTION complete_job(id bigint, token uuid, result jsonb DEFAULT NULL) RETURNS boolean LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_executions e SET status = 'SUCCESS', finished_at = job_now(), result = complete_job.result, error = NULL, suspect = false
    WHERE e.id = complete_job.id AND e.claim_token = complete_job.token AND e.status = 'RUNNING'
    RETURNING true;
$$;
COMMENT ON FUNCTION complete_job IS 'Records SUCCESS. NULL means that the claim is lost and nothing was recorded, unless the row is final with this very token: then an earlier call has done it.';

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
COMMENT ON FUNCTION fail_job IS 'Records a failed attempt and returns the status the row has now (PENDING: it will be tried again). NULL means that the claim is lost.';
