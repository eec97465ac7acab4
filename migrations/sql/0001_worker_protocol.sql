-- The worker protocol, for workers in any language; and the arithmetic of its outcomes.

CREATE FUNCTION job_retry_delay(backoff text, delay_seconds double precision, failures integer) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN least(86400, delay_seconds * CASE backoff WHEN 'fixed' THEN 1 WHEN 'linear' THEN failures ELSE 2.0 ^ least(failures - 1, 40) END);
COMMENT ON FUNCTION job_retry_delay(text, double precision, integer) IS 'Used inside others: seconds before the next try after so many failures, at most 86400, without the jitter of 10 %.';

CREATE FUNCTION job_errors_with(errors jsonb, entry jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN CASE WHEN jsonb_array_length(errors) >= 20 THEN errors - 1 ELSE errors END || jsonb_build_array(entry);
COMMENT ON FUNCTION job_errors_with(jsonb, jsonb) IS 'Used inside others: job_executions.errors with one more entry, of which the first and the last 19 are kept.';

CREATE FUNCTION register_worker(name text, queues text[] DEFAULT '{default}', pool_size integer DEFAULT 1, hostname text DEFAULT '', pid integer DEFAULT NULL, lease_seconds double precision DEFAULT 30, version text DEFAULT '') RETURNS uuid LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION register_worker IS 'Worker protocol, 1: makes a worker and returns its id. Its claims are valid for lease_seconds; renew them in time with heartbeat_worker().';

CREATE FUNCTION heartbeat_worker(id uuid, lease_seconds double precision DEFAULT 30, running integer DEFAULT NULL, succeeded bigint DEFAULT NULL, failed bigint DEFAULT NULL) RETURNS boolean LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION heartbeat_worker IS 'Worker protocol, 2: renews the lease, from now on for lease_seconds, and says how much runs, succeeded and failed. NULL: it is lost; stop all attempts and register anew.';

CREATE FUNCTION leave_worker(id uuid) RETURNS boolean LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_workers w SET status = 'STOPPED', running_count = 0, heartbeat_at = job_now()
    WHERE w.id = leave_worker.id AND w.status IN ('ACTIVE', 'DRAINING')
    RETURNING true;
$$;
COMMENT ON FUNCTION leave_worker IS 'Worker protocol, 6: the worker''s last word. What it still holds goes back as a failed attempt; end it or release_job() it before. NULL: it was lost.';

CREATE FUNCTION job_claim(worker uuid, token uuid, queue text, n integer, bounds double precision[], policies jsonb) RETURNS SETOF job_executions LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION job_claim IS 'Used inside others: a claim from a queue that may have limits, in one transaction that locks first and counts then. bounds: where to begin in each level, highest first; policies: what handlers declare, by name.';

CREATE FUNCTION claim_jobs(worker uuid, queue text DEFAULT 'default', n integer DEFAULT 1) RETURNS TABLE (id bigint, claim_token uuid, handler_name text, handler_params jsonb, attempt integer, timeout_seconds double precision, scheduled_at timestamptz) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION claim_jobs IS 'Worker protocol, 3: claims up to n executions of one queue, highest priority first, then oldest, within its limits. End each with complete_job() or fail_job(), naming its claim_token, within its timeout_seconds.';

CREATE FUNCTION complete_job(id bigint, token uuid, result jsonb DEFAULT NULL) RETURNS boolean LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_executions e
    SET status = 'SUCCESS', finished_at = job_now(), error = NULL, suspect = false,
        -- As a worker of ours cuts it: an outcome isn't lost for its size.
        result = CASE WHEN octet_length(complete_job.result::text) > 1048576
                      THEN jsonb_build_object('truncated', true, 'bytes', octet_length(complete_job.result::text), 'head', left(complete_job.result::text, 8192),
                                              'sha256', encode(sha256(convert_to(complete_job.result::text, 'UTF8')), 'hex'))
                      ELSE complete_job.result END
    WHERE e.id = complete_job.id AND e.claim_token = complete_job.token AND e.status = 'RUNNING'
    RETURNING true;
$$;
COMMENT ON FUNCTION complete_job IS 'Worker protocol, 4: records SUCCESS. NULL: the claim is lost and nothing was recorded, unless the row is final with this very token, by an earlier call.';

CREATE FUNCTION fail_job(id bigint, token uuid, error text, delay_seconds double precision DEFAULT NULL, permanent boolean DEFAULT false, timed_out boolean DEFAULT false) RETURNS text LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION fail_job IS 'Worker protocol, 4: records a failed attempt (TIMEOUT if timed_out; no more tries if permanent; the next after delay_seconds instead of the row''s backoff) and returns the status the row has now: PENDING if it is tried again. NULL: the claim is lost and nothing was recorded.';

CREATE FUNCTION progress_job(id bigint, token uuid, progress double precision DEFAULT NULL, message text DEFAULT NULL) RETURNS boolean LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION progress_job IS 'Worker protocol, 5: says how far it is, if anything, and is told whether to go on. false: somebody cancelled it; stop, and call fail_job(), which makes it CANCELLED. NULL: the claim is lost; stop.';

CREATE FUNCTION release_job(id bigint, token uuid) RETURNS text LANGUAGE sql SET search_path FROM CURRENT AS $$
    UPDATE job_executions e
    SET status = CASE WHEN e.cancel_requested_at IS NULL THEN 'PENDING' ELSE 'CANCELLED' END,
        finished_at = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE job_now() END,
        error = CASE WHEN e.cancel_requested_at IS NULL THEN e.error ELSE coalesce(e.cancel_reason, 'cancelled by request') END,
        available_at = greatest(e.available_at, job_now()),
        claim_token = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claim_token END,
        claimed_by = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claimed_by END
    WHERE e.id = release_job.id AND e.claim_token = release_job.token AND e.status = 'RUNNING'
    RETURNING e.status;
$$;
COMMENT ON FUNCTION release_job IS 'Worker protocol, 4: hands it back without using up a try, for another worker to claim at once; not what had begun with max_retry 0 or 1. Returns the status now; NULL: the claim is lost.';

CREATE FUNCTION snooze_job(id bigint, token uuid, delay_seconds double precision) RETURNS text LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
END $$;
COMMENT ON FUNCTION snooze_job IS 'Worker protocol, 4: puts it off for delay_seconds without using up a try. Returns the status now; NULL: the claim is lost.';
