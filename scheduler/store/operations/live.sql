-- What `scheduler top` shows, every few seconds. Bounded by a LIMIT each.


-- name: live_running
-- The oldest first. Index: job_executions_of_worker, of which there are as many entries as run.
SELECT r.id, r.handler_name, r.queue, c.name AS cron_job, r.attempt, extract(epoch FROM r.age)::double precision AS age_seconds,
       extract(epoch FROM r.time_left)::double precision AS left_seconds, r.progress, r.progress_message, r.worker,
       r.cancel_requested_at IS NOT NULL AS cancelling
FROM (SELECT v.* FROM {s}.job_running AS v LIMIT %(limit)s) AS r LEFT JOIN {s}.cron_jobs AS c ON c.id = r.cron_job_id
ORDER BY r.age DESC, r.id;


-- name: live_failures
-- The newest first. Index: job_executions_dead_letters.
SELECT d.id, d.handler_name, d.queue, d.status, d.finished_at, d.retry_count AS failures, left(split_part(d.error, E'\n', 1), 500) AS error
FROM {s}.job_dead_letters AS d LIMIT %(limit)s;


-- name: live_alerts
SELECT a.rule, a.message, a.opened_at FROM {s}.job_alerts AS a WHERE a.closed_at IS NULL ORDER BY a.opened_at, a.id LIMIT %(limit)s;
