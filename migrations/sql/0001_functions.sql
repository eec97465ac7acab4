-- What anybody may call.

CREATE FUNCTION job_did_you_mean(word text, names text[]) RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce((
    SELECT 'Did you mean "' || close.name || '"? '
    FROM (
        SELECT n.name, (
            SELECT count(*) FROM (
                SELECT substr(' ' || lower(left(word, 200)) || ' ', place, 2) FROM generate_series(1, length(left(word, 200)) + 1) AS place
                INTERSECT
                SELECT substr(' ' || lower(n.name) || ' ', place, 2) FROM generate_series(1, length(n.name) + 1) AS place
            ) AS shared
        ) * 2.0 / (length(left(word, 200)) + length(n.name) + 2) AS likeness
        FROM unnest(names) AS n (name)
    ) AS close
    WHERE close.likeness >= 0.4
    ORDER BY close.likeness DESC, close.name
    LIMIT 1), '');
COMMENT ON FUNCTION job_did_you_mean(text, text[]) IS 'Used inside others: a question after the name that shares the most pairs of letters with a mistyped one; empty where none is like it.';

CREATE FUNCTION cron_job_named(name text) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION cron_job_named(text) IS 'Used inside others: cron_jobs.id by name; a name that none has is an error that says which was meant.';

CREATE FUNCTION job_queue_names() RETURNS SETOF text LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
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
$$;
COMMENT ON FUNCTION job_queue_names() IS 'Every queue that settings, a worker, a cron job, a waiting or running execution, or one of the newest 10,000 names; queues exist by being named.';

CREATE FUNCTION job_restart_delay(id bigint, unique_key text, not_before timestamptz) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION job_restart_delay IS 'Used inside others, with the rights of its owner: what waits and holds a unique_key waits anew. False: it waits no more. For whoever may insert executions.';

CREATE FUNCTION enqueue_job(
    handler_name text, handler_params jsonb DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 0,
    delay_seconds double precision DEFAULT 0, available_at timestamptz DEFAULT NULL, timeout_seconds double precision DEFAULT NULL,
    max_retry integer DEFAULT NULL, retry_backoff text DEFAULT NULL, retry_delay_seconds double precision DEFAULT NULL,
    unique_key text DEFAULT NULL, unique_until text DEFAULT 'finished',
    concurrency_key text DEFAULT NULL, concurrency_limit integer DEFAULT NULL,
    on_conflict text DEFAULT 'return existing', notify_done boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION enqueue_job IS 'Enqueues one execution and returns its id; where unique_key is taken, on_conflict says: return existing (the id of the holder), error, or restart delay (a waiting holder waits anew). SQLSTATE QFULL: the queue''s max_pending is reached. SELECT enqueue_job(''email'', ''{"to": "ada@example.com"}'', delay_seconds => 60);';

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
END $$;
COMMENT ON FUNCTION cancel_job IS 'Cancels a waiting execution at once and asks a running one to stop. Returns the status it has now; a final one keeps its own.';

CREATE FUNCTION retry_job(id bigint, handler_params jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION retry_job IS 'Sends a final execution back to PENDING with all its tries; attempt and errors are kept, and so are its params unless others are given. Returns the status it has now: SKIPPED stays, and so does, with a warning, one whose unique_key another row holds.';

CREATE FUNCTION run_cron_job(name text) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION run_cron_job IS 'Enqueues an execution of a cron job now, apart from its schedule and also while it is paused; returns its id. It waits where ticks may not overlap.';

CREATE FUNCTION pause_cron_job(name text, reason text DEFAULT NULL, resume_at timestamptz DEFAULT NULL) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    IF pause_cron_job.resume_at <= job_now() THEN
        RAISE EXCEPTION 'resume_at % is past', pause_cron_job.resume_at
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a time to come, or leave it out: then resume_cron_job() ends the pause.';
    END IF;
    UPDATE cron_jobs c SET enabled = false, paused_reason = pause_cron_job.reason, resume_at = pause_cron_job.resume_at
    WHERE c.id = cron_job_named(pause_cron_job.name);
END $$;
COMMENT ON FUNCTION pause_cron_job IS 'Stops planning a cron job until resume_cron_job() or resume_at; what is planned already still runs. SELECT pause_cron_job(''nightly'', ''the source is down'', now() + interval ''1 day'');';

CREATE FUNCTION resume_cron_job(name text) RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE cron_jobs c SET enabled = true WHERE c.id = cron_job_named(resume_cron_job.name);
$$;
COMMENT ON FUNCTION resume_cron_job IS 'Plans a cron job again from now on; what fell into the pause is not made up for.';

CREATE FUNCTION cron_job_tick_at(name text, at timestamptz DEFAULT job_now()) RETURNS TABLE (
    covers boolean, scheduled_at timestamptz, skipped_until timestamptz, execution_id bigint, status text, started_at timestamptz, finished_at timestamptz, why text
) LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION cron_job_tick_at IS 'What accounts for the newest tick of a cron job at or before an instant; covers is false where the instant itself was no tick, or is not planned yet. No row: no tick so far. Two index probes, however long the history.';

CREATE FUNCTION pause_queue(name text, reason text DEFAULT NULL, resume_at timestamptz DEFAULT NULL) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION pause_queue IS 'Nothing more is claimed from the queue until resume_queue() or resume_at; what runs goes on. Warns of a name that nothing has. SELECT pause_queue(''mail'', ''provider is down'', now() + interval ''1 hour'');';

CREATE FUNCTION resume_queue(name text) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION resume_queue IS 'Ends the pause of a queue; harmless where it is not paused.';

CREATE FUNCTION limit_queue(name text, limits jsonb) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION limit_queue IS 'Sets the limits that are named, columns of job_queues, and lifts those that are null; the others stay. SELECT limit_queue(''mail'', ''{"max_running": 7, "rate_limit": 100, "rate_period_seconds": 1}'');';
