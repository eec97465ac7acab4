-- What a person asks and does, by command or dashboard: no statement here locks rows for longer than itself.
-- Columns are named as the fields of the dataclasses in operations/. Times come as they are stored, JSON as its text.


-- name: database_time
SELECT {s}.job_now() AS now;


-- name: add_cron_job
-- No row: the name is taken.
INSERT INTO {s}.cron_jobs (name, description, cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds,
                           max_retry, retry_backoff, retry_delay_seconds, overlap_policy, catch_up, catch_up_limit, jitter_seconds,
                           starts_at, ends_at, enabled)
VALUES (%(name)s, %(description)s, %(cron_expression)s, %(timezone)s, %(handler_name)s, %(handler_params)s::jsonb, %(queue)s, %(priority)s,
        %(timeout_seconds)s, %(max_retry)s, %(retry_backoff)s, %(retry_delay_seconds)s, %(overlap_policy)s, %(catch_up)s, %(catch_up_limit)s,
        %(jitter_seconds)s, %(starts_at)s, %(ends_at)s, %(enabled)s)
ON CONFLICT (name) DO NOTHING
RETURNING id, created_at;


-- name: edit_cron_job
-- Only what `changes` names is written: a value that no Python type holds stays as it is. No row: somebody else has edited it
-- since, or removed it.
UPDATE {s}.cron_jobs AS c
SET (name, description, cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds, max_retry, retry_backoff,
     retry_delay_seconds, overlap_policy, catch_up, catch_up_limit, jitter_seconds, starts_at, ends_at, enabled)
    = (SELECT n.name, n.description, n.cron_expression, n.timezone, n.handler_name, n.handler_params, n.queue, n.priority, n.timeout_seconds,
              n.max_retry, n.retry_backoff, n.retry_delay_seconds, n.overlap_policy, n.catch_up, n.catch_up_limit, n.jitter_seconds,
              n.starts_at, n.ends_at, n.enabled
       FROM jsonb_populate_record(c, %(changes)s::jsonb || CASE WHEN %(handler_params)s::text IS NULL THEN '{}' ELSE jsonb_build_object('handler_params', %(handler_params)s::jsonb) END) AS n)
WHERE c.id = %(id)s AND extract(epoch FROM c.updated_at)::text = %(version)s
RETURNING c.id;


-- name: remove_cron_jobs
DELETE FROM {s}.cron_jobs AS c WHERE c.id = ANY (%(ids)s::bigint[]) RETURNING c.id;


-- name: pause_cron_jobs
-- In one order whoever does it, so that two at once don't wait for each other.
SELECT {s}.pause_cron_job(name) FROM (SELECT n.name FROM unnest(%(names)s::text[]) AS n (name) ORDER BY n.name OFFSET 0) AS sorted;


-- name: resume_cron_jobs
SELECT {s}.resume_cron_job(name) FROM (SELECT n.name FROM unnest(%(names)s::text[]) AS n (name) ORDER BY n.name OFFSET 0) AS sorted;


-- name: run_cron_job
SELECT {s}.run_cron_job(%(name)s) AS id;


-- Ticks that somebody asks for, and ticks that somebody doesn't want --------------------------------------------------

-- name: cron_job_to_backfill
-- `planned`: what is after planned_until, which is read as the planner reads it, is the planner's.
SELECT c.id, c.cron_expression, c.timezone, c.overlap_policy, c.queue, c.priority, c.starts_at, c.ends_at, c.created_at,
       greatest(c.planned_until, least(c.created_at, {s}.job_now())) AS planned_until, c.enabled AND c.invalid_reason IS NULL AS planned,
       jsonb_build_array(c.cron_expression, c.timezone, c.starts_at, c.ends_at, c.overlap_policy)::text AS version, {s}.job_now() AS now
FROM {s}.cron_jobs AS c
WHERE c.name = %(name)s;


-- name: backfill_ticks
-- One batch, in the order in which a second backfill would meet it, with what the cron job says now; none of it if the cron job
-- is gone or its ticks are others by now. Index: job_executions_tick.
WITH unchanged AS MATERIALIZED (
    SELECT * FROM {s}.cron_jobs AS c
    WHERE c.id = %(cron_job_id)s
      AND jsonb_build_array(c.cron_expression, c.timezone, c.starts_at, c.ends_at, c.overlap_policy)::text = %(version)s
), enqueued AS (
    INSERT INTO {s}.job_executions (source, cron_job_id, handler_name, handler_params, queue, priority, scheduled_at, timeout_seconds, max_retry,
                                    retry_backoff, retry_delay_seconds, concurrency_key, concurrency_limit)
    SELECT 'backfill', c.id, c.handler_name, c.handler_params, %(queue)s, %(priority)s, t.tick, c.timeout_seconds, c.max_retry,
           c.retry_backoff, c.retry_delay_seconds, %(concurrency_key)s, %(concurrency_limit)s
    FROM unchanged AS c CROSS JOIN unnest(%(ticks)s::timestamptz[]) AS t (tick)
    ORDER BY t.tick
    ON CONFLICT (cron_job_id, scheduled_at) WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED' DO NOTHING
    RETURNING id
)
SELECT (SELECT count(*) FROM enqueued) AS enqueued, EXISTS (SELECT FROM unchanged) AS unchanged;


-- name: backfilled_ticks
-- How many of them have an execution already. Index: job_executions_tick.
SELECT count(*) AS count FROM {s}.job_executions AS e
WHERE e.cron_job_id = %(cron_job_id)s AND e.status <> 'SKIPPED' AND e.scheduled_at = ANY (%(ticks)s::timestamptz[]);


-- name: cron_job_to_skip
-- Locked: no planner looks at it until its skip is written.
SELECT c.id, c.name, c.cron_expression, c.timezone, c.starts_at, c.ends_at, c.created_at, c.enabled, c.invalid_reason,
       greatest(c.planned_until, least(c.created_at, {s}.job_now())) AS planned_until, {s}.job_now() AS now, current_user::text AS role
FROM {s}.cron_jobs AS c
WHERE c.name = %(name)s
FOR UPDATE;


-- name: skip_in_force
-- The row of the ticks that are skipped on request, the last of which is still to come. Index: job_executions_skipped.
SELECT e.id, e.scheduled_at AS first, e.skipped_until AS last FROM {s}.job_executions AS e
WHERE e.cron_job_id = %(cron_job_id)s AND e.status = 'SKIPPED' AND e.source = 'manual' AND e.skipped_until > {s}.job_now()
ORDER BY e.scheduled_at DESC LIMIT 1;


-- name: write_skip
INSERT INTO {s}.job_executions (source, cron_job_id, handler_name, handler_params, queue, priority, status, scheduled_at, available_at, finished_at,
                                skipped_count, skipped_until, error)
SELECT 'manual', c.id, c.handler_name, c.handler_params, c.queue, c.priority, 'SKIPPED', %(first)s, %(first)s, {s}.job_now(),
       %(count)s, %(last)s, %(reason)s
FROM {s}.cron_jobs AS c WHERE c.id = %(cron_job_id)s
RETURNING id;


-- name: change_skip
UPDATE {s}.job_executions SET skipped_count = %(count)s, skipped_until = %(last)s, error = %(reason)s WHERE id = %(id)s RETURNING id;


-- name: take_skip_back
DELETE FROM {s}.job_executions WHERE id = %(id)s RETURNING id;


-- name: plan_from
-- Where the planner still has to write what an edit took from it, it computes next_run_at itself.
UPDATE {s}.cron_jobs
SET planned_until = %(planned_until)s, tzdata_version = %(tzdata_version)s,
    next_run_at = CASE WHEN unplanned IS NULL THEN coalesce(%(next_run_at)s::timestamptz, 'infinity') END
WHERE id = %(cron_job_id)s
RETURNING id;


-- name: cron_job_names
SELECT c.name, c.id, c.enabled FROM {s}.cron_jobs AS c ORDER BY c.name;


-- name: cron_jobs_named
SELECT c.name, c.id, c.enabled FROM {s}.cron_jobs AS c WHERE c.name = ANY(%(names)s::text[]);


-- name: cron_job_statuses
-- `uncomputed`: no planner has looked at the row yet, so that its next tick is still to be computed.
SELECT s.cron_job_id AS id, s.name, c.description, s.cron_expression, s.timezone, s.handler_name, c.queue, s.enabled, s.invalid_reason,
       s.next_run_at, s.last_run_at, s.last_status, s.last_finished_at, s.last_error, s.failures_in_a_row,
       c.next_run_at IS NULL AS uncomputed, c.starts_at, c.ends_at, c.created_at
FROM {s}.cron_job_status AS s JOIN {s}.cron_jobs AS c ON c.id = s.cron_job_id
WHERE (%(handler_name)s::text IS NULL OR c.handler_name = %(handler_name)s)
  AND (%(queue)s::text IS NULL OR c.queue = %(queue)s)
  AND (NOT %(paused)s::boolean OR NOT c.enabled)
  AND (NOT %(invalid)s::boolean OR c.invalid_reason IS NOT NULL)
  AND (NOT %(failing)s::boolean OR s.failures_in_a_row > 0)
ORDER BY s.name;


-- name: one_cron_job
-- `version` tells whether somebody has edited the row since.
SELECT c.id, c.name, c.description, c.cron_expression, c.timezone, c.handler_name, c.handler_params::text, c.queue, c.priority,
       c.timeout_seconds, c.max_retry, c.retry_backoff, c.retry_delay_seconds, c.overlap_policy, c.catch_up, c.catch_up_limit,
       c.jitter_seconds, c.starts_at, c.ends_at, c.enabled, c.invalid_reason, s.next_run_at, c.next_run_at IS NULL AS uncomputed,
       c.last_run_at, c.planned_until, c.managed_by, c.created_by, c.created_at, c.updated_at, extract(epoch FROM c.updated_at)::text AS version,
       s.last_status, s.last_finished_at, s.last_error, s.failures_in_a_row, s.running, s.waiting
FROM {s}.cron_jobs AS c JOIN {s}.cron_job_status AS s ON s.name = c.name
WHERE c.name = %(name)s AND s.name = %(name)s;  -- twice, so that the view looks at no other


-- name: newest_of_cron_job
-- Its newest ticks and what was started by hand, whatever became of them. Indexes: job_executions_tick, job_executions_skipped.
SELECT e.id, e.source, e.status, e.scheduled_at, e.skipped_count, e.skipped_until, e.started_at, e.finished_at, e.attempt,
       left(split_part(e.error, E'\n', 1), 500) AS error
FROM (
    (SELECT r.* FROM {s}.job_executions AS r
     WHERE r.cron_job_id = %(cron_job_id)s AND r.status <> 'SKIPPED' ORDER BY r.scheduled_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT r.* FROM {s}.job_executions AS r
     WHERE r.cron_job_id = %(cron_job_id)s AND r.status = 'SKIPPED' ORDER BY r.scheduled_at DESC LIMIT %(limit)s)
) AS e
ORDER BY e.scheduled_at DESC, e.id DESC
LIMIT %(limit)s;


-- name: upcoming_cron_jobs
-- The soonest, and some that no planner has looked at yet. Index: cron_jobs_plan, for both.
(SELECT c.name, c.cron_expression, c.timezone, c.next_run_at, c.next_run_at IS NULL AS uncomputed, c.starts_at, c.ends_at, c.created_at
 FROM {s}.cron_jobs AS c WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < 'infinity' ORDER BY c.next_run_at LIMIT %(limit)s)
UNION ALL
(SELECT c.name, c.cron_expression, c.timezone, c.next_run_at, c.next_run_at IS NULL AS uncomputed, c.starts_at, c.ends_at, c.created_at
 FROM {s}.cron_jobs AS c WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at IS NULL LIMIT %(uncomputed_limit)s);


-- name: enqueue_execution
SELECT {s}.enqueue_job(
    %(handler_name)s, %(handler_params)s::jsonb, queue => %(queue)s, priority => %(priority)s::integer, delay_seconds => %(delay_seconds)s,
    available_at => %(available_at)s, timeout_seconds => %(timeout_seconds)s, max_retry => %(max_retry)s::integer, unique_key => %(unique_key)s
) AS id;


-- Finding executions -------------------------------------------------------------------------------------------------
-- No index serves every filter, and the hot table shall not have one for each: the primary key is walked backwards, in
-- windows that a person's patience bounds, unless an index that the line needs anyway holds few enough candidates.

-- name: search_executions
-- One window, the newest first; `ids` are candidates from an index. Index: the primary key. The filters are written so that
-- no other index serves them: whether one should was decided before, by counting.
SELECT e.id, e.handler_name, e.status, e.queue, (SELECT c.name FROM {s}.cron_jobs AS c WHERE c.id = e.cron_job_id) AS cron_job, e.attempt,
       e.max_retry, e.scheduled_at, e.available_at, e.started_at, e.finished_at, left(split_part(e.error, E'\n', 1), 500) AS error
FROM {s}.job_executions AS e
WHERE e.id BETWEEN %(first)s::bigint AND %(last)s::bigint
  AND (%(ids)s::bigint[] IS NULL OR e.id = ANY (%(ids)s))
  AND coalesce(e.status = ANY (%(statuses)s::text[]), true)
  AND coalesce(e.handler_name = %(handler_name)s::text, true)
  AND coalesce(e.queue = %(queue)s::text, true)
  AND (%(cron_job_id)s::bigint IS NULL OR e.cron_job_id IS NOT DISTINCT FROM %(cron_job_id)s)
  AND coalesce(e.created_at >= %(since)s::timestamptz, true)
  AND coalesce(e.created_at < %(until)s::timestamptz, true)
  AND (%(error)s::text IS NULL OR strpos(lower(e.error), lower(%(error)s)) > 0)
ORDER BY e.id DESC
LIMIT %(limit)s;


-- name: execution_ids
-- The lowest id, and the highest one up to `last`.
SELECT min(e.id) AS first, (SELECT max(n.id) FROM {s}.job_executions AS n WHERE n.id <= coalesce(%(last)s::bigint, n.id)) AS last
FROM {s}.job_executions AS e;


-- name: created_at_or_above
SELECT e.created_at FROM {s}.job_executions AS e WHERE e.id >= %(id)s::bigint ORDER BY e.id LIMIT 1;


-- name: first_id_since
-- The first id from which on rows were created at `moment` or later: a binary search over the primary key, because ids and
-- created_at grow together. Each step asks the median of eleven neighbours, so that a row imported by hand misleads nobody;
-- that comes some rows late, and `safe_id` is eleven rows sooner.
WITH RECURSIVE narrowing AS (
    SELECT greatest(min(e.id), 0) AS low, least(max(e.id), 9223372036854775806) + 1 AS high FROM {s}.job_executions AS e
    UNION ALL
    SELECT CASE WHEN step.earlier THEN step.middle + 1 ELSE n.low END, CASE WHEN step.earlier THEN n.high ELSE step.middle END
    FROM narrowing AS n CROSS JOIN LATERAL (
        SELECT n.low + (n.high - n.low) / 2 AS middle, percentile_disc(0.5) WITHIN GROUP (ORDER BY near.created_at) < %(moment)s AS earlier
        FROM (SELECT e.created_at FROM {s}.job_executions AS e WHERE e.id <= n.low + (n.high - n.low) / 2 ORDER BY e.id DESC LIMIT 11) AS near
    ) AS step
    WHERE n.low < n.high
)
SELECT n.low AS id,
       (SELECT min(near.id) FROM (SELECT e.id FROM {s}.job_executions AS e WHERE e.id < n.low ORDER BY e.id DESC LIMIT 11) AS near) AS safe_id
FROM narrowing AS n WHERE n.low >= n.high;


-- name: candidates_by_status
-- Ids of rows that wait, run, are dead letters or were skipped, one more than `most` of each at most: then they are too many.
-- The order is that of the index, or else a table with many of them would be read from its other end.
(SELECT e.id FROM {s}.job_executions AS e
 WHERE 'PENDING' = ANY (%(statuses)s) AND e.status = 'PENDING' AND e.concurrency_key IS NULL AND (%(queue)s::text IS NULL OR e.queue = %(queue)s)
 ORDER BY e.queue, e.priority DESC, e.available_at, e.id LIMIT %(most)s + 1)
UNION ALL
(SELECT e.id FROM {s}.job_executions AS e
 WHERE 'PENDING' = ANY (%(statuses)s) AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL AND (%(queue)s::text IS NULL OR e.queue = %(queue)s)
 ORDER BY e.queue, e.priority DESC, e.available_at, e.id LIMIT %(most)s + 1)
UNION ALL
(SELECT e.id FROM {s}.job_executions AS e
 WHERE 'RUNNING' = ANY (%(statuses)s) AND e.status = 'RUNNING' ORDER BY e.claimed_by LIMIT %(most)s + 1)
UNION ALL
-- What was created after `since` ended after it, but for a clock that was set back.
(SELECT e.id FROM {s}.job_executions AS e
 WHERE ARRAY['FAILED', 'TIMEOUT'] && %(statuses)s::text[] AND e.status IN ('FAILED', 'TIMEOUT')
   AND (%(since)s::timestamptz IS NULL OR e.finished_at >= %(since)s::timestamptz - interval '10 min')
 ORDER BY e.finished_at DESC LIMIT %(most)s + 1)
UNION ALL
(SELECT e.id FROM {s}.job_executions AS e
 WHERE 'SKIPPED' = ANY (%(statuses)s) AND e.status = 'SKIPPED' ORDER BY e.cron_job_id, e.scheduled_at LIMIT %(most)s + 1);


-- name: candidates_by_cron_job
-- The same for the ticks of a cron job. Executions that a person started are among them.
(SELECT e.id FROM {s}.job_executions AS e
 WHERE e.cron_job_id = %(cron_job_id)s AND e.status <> 'SKIPPED' ORDER BY e.scheduled_at DESC LIMIT %(most)s + 1)
UNION ALL
(SELECT e.id FROM {s}.job_executions AS e
 WHERE e.cron_job_id = %(cron_job_id)s AND e.status = 'SKIPPED' ORDER BY e.scheduled_at DESC LIMIT %(most)s + 1);


-- name: names_in_use
-- Handlers and queues that a person may have meant: those of cron jobs, and of the newest executions.
SELECT c.handler_name, c.queue FROM {s}.cron_jobs AS c
UNION
SELECT e.handler_name, e.queue FROM (SELECT n.handler_name, n.queue FROM {s}.job_executions AS n ORDER BY n.id DESC LIMIT 1000) AS e;


-- name: one_execution
-- With what it waits for. Indexes: the primary keys; job_executions_of_key.
SELECT e.id, e.source, e.cron_job_id, c.name AS cron_job, e.handler_name, e.handler_params::text, e.queue, e.priority, e.status, e.scheduled_at,
       e.available_at, e.timeout_seconds, e.retry_count, e.max_retry, e.retry_backoff, e.retry_delay_seconds, e.attempt, e.claimed_by,
       w.name AS worker, e.started_at, e.finished_at, e.suspect, e.cancel_requested_at, e.cancel_reason, e.progress, e.progress_message,
       e.result::text, e.error, e.errors::text, e.unique_key, e.unique_until, e.concurrency_key, e.concurrency_limit, e.skipped_count,
       e.skipped_until, e.created_at,
       coalesce(q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now()), false) AS queue_paused,
       q.paused_reason AS queue_paused_reason, q.resume_at AS queue_resume_at,
       (SELECT count(*) FROM {s}.job_workers AS s WHERE e.queue = ANY (s.queues) AND s.status = 'ACTIVE' AND s.lease_until > {s}.job_now()) AS queue_workers,
       (SELECT CASE WHEN count(*) >= coalesce(e.concurrency_limit, 1) THEN min(r.id) END FROM {s}.job_executions AS r
        WHERE e.status = 'PENDING' AND r.concurrency_key = e.concurrency_key AND r.status = 'RUNNING') AS held_by,
       (SELECT jsonb_object_agg(n.id, n.name) FROM {s}.job_workers AS n
        WHERE n.id::text IN (SELECT a.entry ->> 'worker' FROM jsonb_array_elements(e.errors) AS a (entry)))::text AS worker_names
FROM {s}.job_executions AS e
LEFT JOIN {s}.cron_jobs AS c ON c.id = e.cron_job_id
LEFT JOIN {s}.job_workers AS w ON w.id = e.claimed_by
LEFT JOIN {s}.job_queues AS q ON q.name = e.queue
WHERE e.id = %(id)s::bigint;


-- name: execution_states
SELECT e.id, e.handler_name, e.status, e.attempt, e.retry_count, e.max_retry, e.available_at, e.started_at, e.finished_at, e.progress,
       e.progress_message, e.result::text, e.error,
       EXISTS (SELECT FROM {s}.job_workers AS w WHERE e.queue = ANY (w.queues) AND w.status = 'ACTIVE' AND w.lease_until > {s}.job_now()) AS served
FROM {s}.job_executions AS e
WHERE e.id = ANY (%(ids)s::bigint[]);


-- name: act_on_free
-- Cancel or retry those of `ids` that still have one of `statuses` and that nobody holds: locked in a row, a batch and a
-- worker that settles another one could wait for each other. Index: the primary key alone, as in search_executions.
WITH free AS MATERIALIZED (
    SELECT e.id, e.status FROM {s}.job_executions AS e
    WHERE e.id = ANY (%(ids)s::bigint[]) AND coalesce(e.status = ANY (%(statuses)s::text[]), false)
    ORDER BY e.id FOR UPDATE SKIP LOCKED
)
SELECT f.id, f.status AS was, CASE %(action)s WHEN 'cancel' THEN {s}.cancel_job(f.id, %(reason)s) ELSE {s}.retry_job(f.id) END AS status
FROM free AS f;


-- name: act_on_one
-- The same for one, which is waited for. No row: it is gone. `status` is NULL where it had none of `statuses`.
WITH one AS MATERIALIZED (
    SELECT e.id, e.status FROM {s}.job_executions AS e WHERE e.id = %(id)s::bigint FOR UPDATE
)
SELECT o.id, o.status AS was,
       CASE WHEN o.status <> ALL (%(statuses)s) THEN NULL
            WHEN %(action)s = 'cancel' THEN {s}.cancel_job(o.id, %(reason)s)
            ELSE {s}.retry_job(o.id) END AS status
FROM one AS o;


-- name: worker_statuses
SELECT v.id, v.name, v.hostname, v.pid, v.status, v.state, v.queues, v.pool_size, v.running_count, v.succeeded_count, v.failed_count,
       w.heartbeat_at, v.started_at, v.version
FROM {s}.job_worker_status AS v JOIN {s}.job_workers AS w ON w.id = v.id
ORDER BY v.started_at, v.name;


-- name: unique_key_holder
-- Who keeps a final row from going back to its unique key. Index: job_executions_unique_key.
SELECT h.id, h.status, h.unique_key
FROM {s}.job_executions AS e JOIN {s}.job_executions AS h ON h.unique_key = e.unique_key AND h.id <> e.id
WHERE e.id = %(id)s::bigint
  AND h.unique_key IS NOT NULL
  AND (h.unique_until = 'forever' OR (h.unique_until = 'finished' AND h.status IN ('PENDING', 'RUNNING'))
       OR (h.unique_until = 'started' AND h.status = 'PENDING' AND h.attempt = 0));


-- name: queue_statuses
SELECT v.queue AS name, v.paused, v.paused_reason, v.resume_at, v.waiting, v.delayed, v.running, extract(epoch FROM v.oldest_waiting)::double precision AS oldest_waiting_seconds,
       v.workers, v.per_minute::double precision
FROM {s}.job_queue_status AS v
ORDER BY v.queue;


-- name: queue_names
-- As job_queue_is_known() knows them, and those in which something runs: a step of an index for each, however many wait.
WITH RECURSIVE waiting AS (
    SELECT (SELECT min(e.queue) FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL) AS name
    UNION ALL
    SELECT (SELECT min(e.queue) FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL AND e.queue > w.name)
    FROM waiting AS w WHERE w.name IS NOT NULL
), keyed AS (
    SELECT (SELECT min(e.queue) FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL) AS name
    UNION ALL
    SELECT (SELECT min(e.queue) FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL AND e.queue > k.name)
    FROM keyed AS k WHERE k.name IS NOT NULL
)
SELECT name FROM waiting WHERE name IS NOT NULL
UNION SELECT name FROM keyed WHERE name IS NOT NULL
UNION SELECT e.queue FROM {s}.job_executions AS e WHERE e.status = 'RUNNING'
UNION SELECT q.name FROM {s}.job_queues AS q
UNION SELECT c.queue FROM {s}.cron_jobs AS c
UNION SELECT unnest(w.queues) FROM {s}.job_workers AS w
ORDER BY name;


-- name: queue_pause
-- As the claim sees it. No row: not paused.
SELECT q.paused_reason, q.resume_at FROM {s}.job_queues AS q
WHERE q.name = %(name)s AND q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now());


-- name: pause_queue
SELECT {s}.pause_queue(%(name)s, %(reason)s, %(resume_at)s);


-- name: resume_queue
SELECT {s}.resume_queue(%(name)s);


-- name: role_rights
-- What each of these roles was granted on the schema, its relations, their columns and its functions: a row for each right, and
-- one without any for a role that has none.
SELECT r.rolname::text, g.object, g.column_name, g.privilege
FROM pg_roles AS r LEFT JOIN (
    SELECT a.grantee, o.object, o.column_name, a.privilege_type AS privilege
    FROM (
        SELECT 'schema ' || n.nspname AS object, NULL::text AS column_name, n.nspacl AS acl FROM pg_namespace AS n WHERE n.nspname = %(schema)s
        UNION ALL
        SELECT c.relname::text, NULL, c.relacl FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s
        UNION ALL
        SELECT c.relname::text, t.attname::text, t.attacl
        FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s
        UNION ALL
        SELECT 'function ' || f.proname, NULL, f.proacl FROM pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace WHERE n.nspname = %(schema)s
    ) AS o CROSS JOIN LATERAL aclexplode(o.acl) AS a
) AS g ON g.grantee = r.oid
WHERE r.rolname = ANY (%(roles)s::text[]);
