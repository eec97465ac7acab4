-- What makes rows of declared cron jobs, and compares them.


-- name: apply_in_turn
-- Two applies at once take turns, and the second finds done what the first did.
SELECT pg_advisory_xact_lock(hashtextextended('cron apply', '{s}.cron_jobs'::regclass::oid::bigint));


-- name: lock_declared_cron_jobs
-- Nobody edits between the comparison and what is written because of it; a planner leaves out what is locked.
SELECT count(*) FROM (
    SELECT FROM {s}.cron_jobs AS c WHERE c.managed_by = %(managed_by)s OR c.name = ANY(%(names)s) ORDER BY c.id FOR UPDATE
) AS locked;


-- name: declared_cron_jobs
-- The rows of an owner, and those of anybody with a name that is declared.
SELECT c.name, c.managed_by, c.declared::text, c.created_at, c.cron_expression, c.timezone, c.handler_name, c.handler_params::text, c.queue,
       c.priority, c.timeout_seconds, c.max_retry, c.retry_backoff, c.retry_delay_seconds, c.overlap_policy, c.catch_up, c.catch_up_limit,
       c.jitter_seconds, c.expected_duration_seconds, c.max_start_delay_seconds, c.starts_at, c.ends_at, c.enabled, c.description
FROM {s}.cron_jobs AS c
WHERE c.managed_by = %(managed_by)s OR c.name = ANY(%(names)s)
ORDER BY c.name;


-- name: cron_jobs_of_others
-- What is nobody's business here, by owner.
SELECT c.managed_by, count(*) AS count, (array_agg(c.name ORDER BY c.name))[1:10] AS names
FROM {s}.cron_jobs AS c
WHERE c.managed_by IS DISTINCT FROM %(managed_by)s AND c.name <> ALL(%(names)s)
GROUP BY c.managed_by
ORDER BY c.managed_by NULLS FIRST;


-- name: create_declared
-- Fewer rows than asked for: a name was taken meanwhile.
INSERT INTO {s}.cron_jobs (name, managed_by, declared, cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds,
                           max_retry, retry_backoff, retry_delay_seconds, overlap_policy, catch_up, catch_up_limit, jitter_seconds, expected_duration_seconds, max_start_delay_seconds, starts_at,
                           ends_at, enabled, description)
SELECT r.name, %(managed_by)s, r.declared, r.cron_expression, r.timezone, r.handler_name, r.handler_params, r.queue, r.priority, r.timeout_seconds,
       r.max_retry, r.retry_backoff, r.retry_delay_seconds, r.overlap_policy, r.catch_up, r.catch_up_limit, r.jitter_seconds, r.expected_duration_seconds, r.max_start_delay_seconds, r.starts_at,
       r.ends_at, r.enabled, r.description
FROM jsonb_populate_recordset(NULL::{s}.cron_jobs, %(rows)s::jsonb) AS r
ORDER BY r.name
ON CONFLICT (name) DO NOTHING
RETURNING name;


-- name: change_declared
-- Each row gets its own changes, by column; what they don't name stays as the row has it, and a row without any is not written.
UPDATE {s}.cron_jobs AS c
SET (cron_expression, timezone, handler_name, handler_params, queue, priority, timeout_seconds, max_retry, retry_backoff, retry_delay_seconds,
     overlap_policy, catch_up, catch_up_limit, jitter_seconds, expected_duration_seconds, max_start_delay_seconds, starts_at, ends_at, enabled, description)
    = (SELECT n.cron_expression, n.timezone, n.handler_name, n.handler_params, n.queue, n.priority, n.timeout_seconds, n.max_retry,
              n.retry_backoff, n.retry_delay_seconds, n.overlap_policy, n.catch_up, n.catch_up_limit, n.jitter_seconds, n.expected_duration_seconds, n.max_start_delay_seconds, n.starts_at, n.ends_at,
              n.enabled, n.description
       FROM jsonb_populate_record(c, r.changes) AS n),
    managed_by = %(managed_by)s, declared = r.declared
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (name text, changes jsonb, declared jsonb)
WHERE c.name = r.name AND (r.changes, r.declared, c.managed_by) IS DISTINCT FROM ('{}'::jsonb, c.declared, %(managed_by)s)
RETURNING c.name;


-- name: remove_declared
DELETE FROM {s}.cron_jobs AS c WHERE c.managed_by = %(managed_by)s AND c.name = ANY(%(names)s) RETURNING c.name;
