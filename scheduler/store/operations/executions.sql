-- What a person asks about executions, and does with them; no statement here locks rows for longer than itself.
-- Columns are named as the fields of the dataclasses in operations/. Times come as they are stored, JSON as its text.


-- name: enqueue_execution
-- `existing`: the row was there when the statement began, and holds the unique key. CAST, because SQLAlchemy, by which
-- clients send this too, doesn't see a parameter before a double colon.
SELECT enqueued.id, EXISTS (SELECT FROM {s}.job_executions AS e WHERE e.id = enqueued.id) AS existing
FROM (SELECT {s}.enqueue_job(
    %(handler_name)s, CAST(%(handler_params)s AS jsonb), queue => %(queue)s, priority => CAST(%(priority)s AS integer),
    delay_seconds => %(delay_seconds)s, available_at => %(available_at)s, timeout_seconds => %(timeout_seconds)s,
    max_retry => CAST(%(max_retry)s AS integer), unique_key => %(unique_key)s, unique_until => %(unique_until)s,
    concurrency_key => %(concurrency_key)s, concurrency_limit => CAST(%(concurrency_limit)s AS integer),
    on_conflict => %(on_conflict)s, notify_done => %(notify_done)s
) AS id OFFSET 0) AS enqueued;


-- name: one_execution
-- With what it waits for. Indexes: the primary keys; job_executions_of_key.
SELECT e.id, e.source, e.cron_job_id, c.name AS cron_job, e.handler_name, e.queue, e.priority, e.lifted, e.status, e.scheduled_at,
       e.available_at, e.timeout_seconds, e.retry_count, e.max_retry, e.retry_backoff, e.retry_delay_seconds, e.attempt, e.claimed_by,
       w.name AS worker, e.started_at, e.finished_at, e.suspect, e.cancel_requested_at, e.cancel_reason, e.progress, e.progress_message,
       e.error, e.unique_key, e.unique_until, e.concurrency_key, e.concurrency_limit, e.skipped_count,
       e.skipped_until, e.created_at,
       coalesce(q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now()), false) AS queue_paused,
       q.paused_reason AS queue_paused_reason, q.resume_at AS queue_resume_at,
       (SELECT count(*) FROM {s}.job_workers AS s WHERE e.queue = ANY (s.queues) AND s.status = 'ACTIVE' AND s.lease_until > {s}.job_now()) AS queue_workers,
       CASE WHEN e.status <> 'PENDING' THEN NULL
            WHEN q.max_running <= (SELECT count(*) FROM {s}.job_executions AS r WHERE r.queue = e.queue AND r.status = 'RUNNING') THEN 'max_running'
            WHEN q.rate_limit IS NOT NULL AND q.rate_next_at > {s}.job_now() THEN 'rate_limit' END AS queue_reached,
       (SELECT CASE WHEN count(*) >= coalesce(e.concurrency_limit, q.key_limit, 1) THEN min(r.id) END FROM {s}.job_executions AS r
        WHERE e.status = 'PENDING' AND r.concurrency_key = e.concurrency_key AND r.status = 'RUNNING') AS held_by
FROM {s}.job_executions AS e
LEFT JOIN {s}.cron_jobs AS c ON c.id = e.cron_job_id
LEFT JOIN {s}.job_workers AS w ON w.id = e.claimed_by
LEFT JOIN {s}.job_queues AS q ON q.name = e.queue
WHERE e.id = %(id)s::bigint;


-- name: execution_contents
-- What may hold secrets, and not everybody may read. Index: the primary keys.
SELECT e.handler_params::text, e.result::text, e.errors::text,
       (SELECT jsonb_object_agg(n.id, n.name) FROM {s}.job_workers AS n
        WHERE n.id::text IN (SELECT a.entry ->> 'worker' FROM jsonb_array_elements(e.errors) AS a (entry)))::text AS worker_names
FROM {s}.job_executions AS e
WHERE e.id = %(id)s::bigint;


-- name: params_text
SELECT jsonb_pretty(e.handler_params) AS text FROM {s}.job_executions AS e WHERE e.id = %(id)s::bigint;


-- name: execution_states
SELECT e.id, e.handler_name, e.status, e.attempt, e.retry_count, e.max_retry, e.available_at, e.started_at, e.finished_at, e.progress,
       e.progress_message, e.result::text, e.error,
       e.queue, EXISTS (SELECT FROM {s}.job_workers AS w WHERE e.queue = ANY (w.queues) AND w.status = 'ACTIVE' AND w.lease_until > {s}.job_now()) AS served,
       EXISTS (SELECT FROM {s}.job_queues AS q WHERE q.name = e.queue AND q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now())) AS paused
FROM {s}.job_executions AS e
WHERE e.id = ANY (%(ids)s::bigint[]);


-- name: act_on_free
-- Cancel or retry (with `params` in place of its own, where they aren't NULL) those of `ids` that still have one of `statuses` and that nobody holds: locked in a row, a batch and a
-- worker that settles another one could wait for each other. Index: the primary key alone, as in search_executions.
WITH free AS MATERIALIZED (
    SELECT e.id, e.status FROM {s}.job_executions AS e
    WHERE e.id = ANY (%(ids)s::bigint[]) AND coalesce(e.status = ANY (%(statuses)s::text[]), false)
    ORDER BY e.id FOR UPDATE SKIP LOCKED
)
SELECT f.id, f.status AS was, CASE %(action)s WHEN 'cancel' THEN {s}.cancel_job(f.id, %(reason)s) ELSE {s}.retry_job(f.id, %(params)s::jsonb) END AS status
FROM free AS f;


-- name: act_on_one
-- The same for one, which is waited for. No row: it is gone. `status` is NULL where it had none of `statuses`.
WITH one AS MATERIALIZED (
    SELECT e.id, e.status FROM {s}.job_executions AS e WHERE e.id = %(id)s::bigint FOR UPDATE
)
SELECT o.id, o.status AS was,
       CASE WHEN o.status <> ALL (%(statuses)s) THEN NULL
            WHEN %(action)s = 'cancel' THEN {s}.cancel_job(o.id, %(reason)s)
            ELSE {s}.retry_job(o.id, %(params)s::jsonb) END AS status
FROM one AS o;


-- name: unique_key_holder
-- Who keeps a final row from going back to its unique key. Index: job_executions_unique_key.
SELECT h.id, h.status, h.unique_key
FROM {s}.job_executions AS e JOIN {s}.job_executions AS h ON h.unique_key = e.unique_key AND h.id <> e.id
WHERE e.id = %(id)s::bigint
  AND h.unique_key IS NOT NULL
  AND (h.unique_until = 'forever' OR (h.unique_until = 'finished' AND h.status IN ('PENDING', 'RUNNING'))
       OR (h.unique_until = 'started' AND h.status = 'PENDING' AND h.attempt = 0));


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
