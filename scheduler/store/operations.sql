-- What a person asks and does, by command or dashboard: no statement here locks rows for longer than itself.
-- Columns are named as the fields of the dataclasses in operations/. Times come as they are stored, JSON as its text.


-- name: database_time
SELECT {s}.job_now() AS now;


-- name: add_cron_job
-- No row: the name is taken.
INSERT INTO {s}.cron_jobs (name, description, cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds,
                           max_retry, overlap_policy, catch_up, jitter_seconds)
VALUES (%(name)s, %(description)s, %(cron_expression)s, %(timezone)s, %(handler_name)s, %(handler_params)s::jsonb, %(queue)s, %(priority)s,
        %(timeout_seconds)s, %(max_retry)s, %(overlap_policy)s, %(catch_up)s, %(jitter_seconds)s)
ON CONFLICT (name) DO NOTHING
RETURNING id, created_at;


-- name: cron_job_names
SELECT name, id FROM {s}.cron_jobs ORDER BY name;


-- name: cron_job_statuses
-- `uncomputed`: no planner has looked at the row yet, so that its next tick is still to be computed.
SELECT s.cron_job_id AS id, s.name, c.description, s.cron_expression, s.timezone, s.handler_name, s.enabled, s.invalid_reason, s.next_run_at,
       s.last_run_at, s.last_status, s.last_finished_at, s.last_error, s.failures_in_a_row,
       c.next_run_at IS NULL AS uncomputed, c.starts_at, c.ends_at, c.created_at
FROM {s}.cron_job_status AS s JOIN {s}.cron_jobs AS c ON c.id = s.cron_job_id
ORDER BY s.name;


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


-- name: newest_executions
-- Newest first, in pages: `before` is the last id of the page before. Index: the primary key, backwards; a filter that few
-- rows pass reads more of it.
SELECT e.id, e.handler_name, e.status, e.queue, c.name AS cron_job, e.attempt, e.max_retry, e.scheduled_at, e.available_at, e.started_at,
       e.finished_at, left(split_part(e.error, E'\n', 1), 500) AS error
FROM {s}.job_executions AS e LEFT JOIN {s}.cron_jobs AS c ON c.id = e.cron_job_id
WHERE (%(before)s::bigint IS NULL OR e.id < %(before)s)
  AND (%(status)s::text IS NULL OR e.status = %(status)s)
  AND (%(handler_name)s::text IS NULL OR e.handler_name = %(handler_name)s)
  AND (%(queue)s::text IS NULL OR e.queue = %(queue)s)
  AND (%(cron_job_id)s::bigint IS NULL OR e.cron_job_id = %(cron_job_id)s)
ORDER BY e.id DESC
LIMIT %(limit)s;


-- name: one_execution
SELECT e.id, e.source, e.cron_job_id, c.name AS cron_job, e.handler_name, e.handler_params::text, e.queue, e.priority, e.status, e.scheduled_at,
       e.available_at, e.timeout_seconds, e.retry_count, e.max_retry, e.retry_backoff, e.retry_delay_seconds, e.attempt, e.claimed_by,
       w.name AS worker, e.started_at, e.finished_at, e.suspect, e.cancel_requested_at, e.cancel_reason, e.progress, e.progress_message,
       e.result::text, e.error, e.errors::text, e.unique_key, e.unique_until, e.concurrency_key, e.concurrency_limit, e.skipped_count,
       e.skipped_until, e.created_at
FROM {s}.job_executions AS e
LEFT JOIN {s}.cron_jobs AS c ON c.id = e.cron_job_id
LEFT JOIN {s}.job_workers AS w ON w.id = e.claimed_by
WHERE e.id = %(id)s::bigint;


-- name: worker_statuses
SELECT v.id, v.name, v.hostname, v.pid, v.status, v.state, v.queues, v.pool_size, v.running_count, v.succeeded_count, v.failed_count,
       w.heartbeat_at, v.started_at, v.version
FROM {s}.job_worker_status AS v JOIN {s}.job_workers AS w ON w.id = v.id
ORDER BY v.started_at, v.name;
