-- What a person asks about cron jobs, and does with them; no statement here locks rows for longer than itself.
-- Columns are named as the fields of the dataclasses in operations/. Times come as they are stored, JSON as its text.


-- name: add_cron_job
-- No row: the name is taken.
INSERT INTO {s}.cron_jobs (name, description, cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds,
                           max_retry, retry_backoff, retry_delay_seconds, overlap_policy, catch_up, catch_up_limit, jitter_seconds, expected_duration_seconds, max_start_delay_seconds,
                           starts_at, ends_at, enabled)
VALUES (%(name)s, %(description)s, %(cron_expression)s, %(timezone)s, %(handler_name)s, %(handler_params)s::jsonb, %(queue)s, %(priority)s,
        %(timeout_seconds)s, %(max_retry)s, %(retry_backoff)s, %(retry_delay_seconds)s, %(overlap_policy)s, %(catch_up)s, %(catch_up_limit)s,
        %(jitter_seconds)s, %(expected_duration_seconds)s, %(max_start_delay_seconds)s, %(starts_at)s, %(ends_at)s, %(enabled)s)
ON CONFLICT (name) DO NOTHING
RETURNING id, created_at;


-- name: edit_cron_job
-- Only what `changes` names is written: a value that no Python type holds stays as it is. No row: somebody else has edited it
-- since, or removed it.
UPDATE {s}.cron_jobs AS c
SET (name, description, cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds, max_retry, retry_backoff,
     retry_delay_seconds, overlap_policy, catch_up, catch_up_limit, jitter_seconds, expected_duration_seconds, max_start_delay_seconds, starts_at, ends_at, enabled)
    = (SELECT n.name, n.description, n.cron_expression, n.timezone, n.handler_name, n.handler_params, n.queue, n.priority, n.timeout_seconds,
              n.max_retry, n.retry_backoff, n.retry_delay_seconds, n.overlap_policy, n.catch_up, n.catch_up_limit, n.jitter_seconds, n.expected_duration_seconds, n.max_start_delay_seconds,
              n.starts_at, n.ends_at, n.enabled
       FROM jsonb_populate_record(c, %(changes)s::jsonb || CASE WHEN %(handler_params)s::text IS NULL THEN '{}' ELSE jsonb_build_object('handler_params', %(handler_params)s::jsonb) END) AS n)
WHERE c.id = %(id)s AND extract(epoch FROM c.updated_at)::text = %(version)s
RETURNING c.id;


-- name: remove_cron_jobs
DELETE FROM {s}.cron_jobs AS c WHERE c.id = ANY (%(ids)s::bigint[]) RETURNING c.id;


-- name: pause_cron_jobs
-- In one order whoever does it, so that two at once don't wait for each other.
SELECT {s}.pause_cron_job(name, %(reason)s, %(resume_at)s) FROM (SELECT n.name FROM unnest(%(names)s::text[]) AS n (name) ORDER BY n.name OFFSET 0) AS sorted;


-- name: resume_cron_jobs
SELECT {s}.resume_cron_job(name) FROM (SELECT n.name FROM unnest(%(names)s::text[]) AS n (name) ORDER BY n.name OFFSET 0) AS sorted;


-- name: run_cron_job
SELECT {s}.run_cron_job(%(name)s) AS id;


-- name: cron_job_names
SELECT c.name, c.id, c.enabled FROM {s}.cron_jobs AS c ORDER BY c.name;


-- name: cron_jobs_named
SELECT c.name, c.id, c.enabled FROM {s}.cron_jobs AS c WHERE c.name = ANY(%(names)s::text[]);


-- name: next_ticks_of_cron_jobs
SELECT c.name, c.enabled, c.invalid_reason, nullif(c.next_run_at, 'infinity') AS next_run_at, c.next_run_at IS NULL AS uncomputed,
       c.cron_expression, c.timezone, c.starts_at, c.ends_at, c.created_at
FROM {s}.cron_jobs AS c WHERE c.name = ANY(%(names)s::text[]);


-- name: cron_job_statuses
-- `uncomputed`: no planner has looked at the row yet, so that its next tick is still to be computed. The page is found first, and the
-- view looked at once for each name of it: otherwise it looks at the executions of all. Index: cron_jobs_name_key.
WITH page AS MATERIALIZED (
    SELECT c.id, c.name, c.description, c.queue, c.managed_by, c.next_run_at IS NULL AS uncomputed, c.starts_at, c.ends_at, c.created_at
    FROM {s}.cron_jobs AS c
    WHERE (%(handler_name)s::text IS NULL OR c.handler_name = %(handler_name)s)
      AND (%(queue)s::text IS NULL OR c.queue = %(queue)s)
      AND (%(text)s::text IS NULL OR strpos(lower(concat_ws(E'\n', c.name, c.description)), lower(%(text)s)) > 0)
      AND (%(enabled)s::boolean IS NULL OR c.enabled = %(enabled)s)
      AND (NOT %(invalid)s::boolean OR c.invalid_reason IS NOT NULL)
      AND (%(after)s::text IS NULL OR c.name > %(after)s)
    ORDER BY c.name
    LIMIT CASE WHEN NOT %(failing)s::boolean THEN %(limit)s::bigint END
)
SELECT p.id, p.name, p.description, s.cron_expression, s.timezone, s.handler_name, p.queue, s.enabled, s.paused_reason, s.resume_at, s.invalid_reason,
       p.managed_by,
       s.next_run_at, s.last_run_at, s.last_status, s.last_finished_at, s.last_error, s.failures_in_a_row,
       p.uncomputed, p.starts_at, p.ends_at, p.created_at
FROM page AS p CROSS JOIN LATERAL (SELECT v.* FROM {s}.cron_job_status AS v WHERE v.name = p.name OFFSET 0) AS s
WHERE NOT %(failing)s::boolean OR s.failures_in_a_row > 0
ORDER BY p.name
LIMIT %(limit)s;


-- name: cron_jobs_use
SELECT DISTINCT c.handler_name, c.queue FROM {s}.cron_jobs AS c;


-- name: one_cron_job
-- `version` tells whether somebody has edited the row since.
SELECT c.id, c.name, c.description, c.cron_expression, c.timezone, c.handler_name, c.queue, c.priority, c.timeout_seconds,
       c.max_retry, c.retry_backoff, c.retry_delay_seconds, c.overlap_policy, c.catch_up, c.catch_up_limit, c.jitter_seconds,
       c.expected_duration_seconds, c.max_start_delay_seconds,
       c.starts_at, c.ends_at, c.enabled, c.paused_reason, c.resume_at, c.invalid_reason, s.next_run_at, c.next_run_at IS NULL AS uncomputed,
       c.last_run_at, c.planned_until, c.managed_by, c.created_by, c.created_at, c.updated_at, extract(epoch FROM c.updated_at)::text AS version,
       s.last_status, s.last_finished_at, s.last_error, s.failures_in_a_row, s.running, s.waiting
FROM {s}.cron_jobs AS c JOIN {s}.cron_job_status AS s ON s.name = c.name
WHERE c.name = %(name)s AND s.name = %(name)s;  -- twice, so that the view looks at no other


-- name: cron_job_params
-- What may hold secrets, and not everybody may read.
SELECT c.handler_params::text FROM {s}.cron_jobs AS c WHERE c.id = %(id)s;


-- name: newest_of_cron_job
-- Its newest ticks and what was started by hand, whatever became of them. Indexes: job_executions_tick, job_executions_skipped.
SELECT e.id, e.source, e.status, e.scheduled_at, e.skipped_count, e.skipped_until, e.started_at, e.finished_at, e.attempt,
       left(split_part(e.error, E'\n', 1), 500) AS error
FROM (
    (SELECT r.id FROM {s}.job_executions AS r
     WHERE r.cron_job_id = %(cron_job_id)s AND r.status <> 'SKIPPED' ORDER BY r.scheduled_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT r.id FROM {s}.job_executions AS r
     WHERE r.cron_job_id = %(cron_job_id)s AND r.status = 'SKIPPED' ORDER BY r.scheduled_at DESC LIMIT %(limit)s)
) AS newest
JOIN {s}.job_executions AS e ON e.id = newest.id
ORDER BY e.scheduled_at DESC, e.id DESC
LIMIT %(limit)s;


-- name: upcoming_cron_jobs
-- The soonest, and some that no planner has looked at yet. Index: cron_jobs_plan, for both.
(SELECT c.name, c.cron_expression, c.timezone, c.next_run_at, c.next_run_at IS NULL AS uncomputed, c.starts_at, c.ends_at, c.created_at
 FROM {s}.cron_jobs AS c WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < 'infinity' ORDER BY c.next_run_at LIMIT %(limit)s)
UNION ALL
(SELECT c.name, c.cron_expression, c.timezone, c.next_run_at, c.next_run_at IS NULL AS uncomputed, c.starts_at, c.ends_at, c.created_at
 FROM {s}.cron_jobs AS c WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at IS NULL LIMIT %(uncomputed_limit)s);


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
    ON CONFLICT (cron_job_id, scheduled_at, (CASE source WHEN 'manual' THEN id ELSE 0 END)) WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED' DO NOTHING
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
