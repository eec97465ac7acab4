CREATE VIEW cron_job_status AS
SELECT c.name, c.enabled, c.cron_expression, c.timezone, c.handler_name, nullif(c.next_run_at, 'infinity') AS next_run_at, c.last_run_at,
       last.status AS last_status, last.finished_at AS last_finished_at, last.error AS last_error,
       streak.failures AS failures_in_a_row,
       open.running, open.waiting,
       CASE WHEN c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < job_now() THEN job_now() - c.next_run_at END AS late_by,
       c.invalid_reason, c.id AS cron_job_id
FROM cron_jobs c
LEFT JOIN LATERAL (
    SELECT e.status, e.finished_at, e.error FROM job_executions e
    WHERE e.cron_job_id = c.id AND e.status <> 'SKIPPED' AND e.finished_at IS NOT NULL ORDER BY e.scheduled_at DESC LIMIT 1
) last ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE recent.failed AND recent.successes = 0) AS failures FROM (
        SELECT e.status IN ('FAILED', 'TIMEOUT') AS failed, count(*) FILTER (WHERE e.status = 'SUCCESS') OVER (ORDER BY e.scheduled_at DESC) AS successes
        FROM (SELECT x.status, x.scheduled_at FROM job_executions x
              WHERE x.cron_job_id = c.id AND x.status <> 'SKIPPED' AND x.finished_at IS NOT NULL ORDER BY x.scheduled_at DESC LIMIT 100) e
    ) recent
) streak ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE e.status = 'RUNNING') AS running, count(*) FILTER (WHERE e.status = 'PENDING') AS waiting
    FROM job_executions e WHERE e.concurrency_key = 'cron:' || c.id AND e.status IN ('PENDING', 'RUNNING')
) open ON true
ORDER BY c.name;
COMMENT ON VIEW cron_job_status IS 'Each cron job at a glance: next tick, last outcome, failures in a row (up to 100), how late it is, why it is refused. running and waiting count executions that may not overlap.';

CREATE VIEW job_queue_status AS
SELECT names.queue, coalesce(q.paused AND (q.resume_at IS NULL OR q.resume_at > job_now()), false) AS paused, q.paused_reason, q.resume_at,
       counts.waiting, counts.delayed, busy.running, counts.oldest_waiting,
       serving.workers, serving.per_minute
FROM (SELECT name AS queue FROM job_queues
      UNION SELECT unnest(queues) FROM job_workers WHERE status IN ('ACTIVE', 'DRAINING')
      UNION SELECT queue FROM job_executions WHERE status = 'PENDING' AND concurrency_key IS NULL GROUP BY queue
      UNION SELECT queue FROM job_executions WHERE status = 'PENDING' AND concurrency_key IS NOT NULL GROUP BY queue
      UNION SELECT queue FROM job_executions WHERE status = 'RUNNING' GROUP BY queue) names
LEFT JOIN job_queues q ON q.name = names.queue
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE e.available_at <= n.now) AS waiting, count(*) FILTER (WHERE e.available_at > n.now) AS delayed,
           max(n.now - e.available_at) FILTER (WHERE e.available_at <= n.now) AS oldest_waiting
    FROM (SELECT job_now() AS now) n, job_executions e WHERE e.queue = names.queue AND e.status = 'PENDING'
) counts ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS running FROM job_executions e WHERE e.queue = names.queue AND e.status = 'RUNNING'
) busy ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS workers,
           round(sum((w.succeeded_count + w.failed_count) / greatest(extract(epoch FROM w.heartbeat_at - w.started_at), 1)) * 60, 1) AS per_minute
    FROM job_workers w WHERE names.queue = ANY(w.queues) AND w.status IN ('ACTIVE', 'DRAINING')
) serving ON true
ORDER BY names.queue;
COMMENT ON VIEW job_queue_status IS 'Each queue at a glance: waiting, delayed, running, age of the oldest waiting; workers that serve it and what they finish per minute (from their counters, over all queues of theirs).';

CREATE VIEW job_running AS
SELECT e.id, e.handler_name, e.queue, e.attempt, job_now() - e.started_at AS age,
       e.started_at + make_interval(secs => e.timeout_seconds) - job_now() AS time_left,
       e.progress, e.progress_message, w.name AS worker, w.hostname, w.pid, e.cancel_requested_at, e.cron_job_id, e.claimed_by
FROM job_executions e LEFT JOIN job_workers w ON w.id = e.claimed_by
WHERE e.status = 'RUNNING'
ORDER BY e.started_at;
COMMENT ON VIEW job_running IS 'What is claimed now: age since the claim, time left, progress, and who has it.';

CREATE VIEW job_dead_letters AS
SELECT e.id, e.handler_name, e.queue, e.status, e.finished_at, e.attempt, e.retry_count, e.error, e.handler_params, e.cron_job_id, e.scheduled_at
FROM job_executions e
WHERE e.status IN ('FAILED', 'TIMEOUT')
ORDER BY e.finished_at DESC;
COMMENT ON VIEW job_dead_letters IS 'Executions that used up their tries, newest first. SELECT retry_job(id) FROM job_dead_letters WHERE ... sends them back.';

CREATE VIEW job_worker_status AS
SELECT w.id, w.name, w.hostname, w.pid, w.status, CASE WHEN w.heartbeat_at > job_now() - interval '60 s' THEN 'active' ELSE 'inactive' END AS state,
       w.queues, w.pool_size, w.running_count, w.succeeded_count, w.failed_count, job_now() - w.heartbeat_at AS silent_for, w.started_at, w.version
FROM job_workers w
WHERE w.heartbeat_at > job_now() - interval '5 min' AND w.status <> 'STOPPED'
ORDER BY w.started_at;
COMMENT ON VIEW job_worker_status IS 'Workers of the last five minutes: inactive after 60 s without a heartbeat, gone after 5 min.';

CREATE VIEW job_attempts AS
SELECT e.id AS execution_id, e.handler_name, e.cron_job_id, (a.entry ->> 'attempt')::integer AS attempt, a.entry ->> 'outcome' AS outcome,
       (a.entry ->> 'at')::timestamptz AS at, a.entry ->> 'worker' AS worker, a.entry ->> 'error' AS error, a.entry ->> 'traceback' AS traceback
FROM job_executions e CROSS JOIN LATERAL jsonb_array_elements(e.errors) AS a (entry);
COMMENT ON VIEW job_attempts IS 'Each unsuccessful attempt as a row.';

CREATE VIEW job_history AS
SELECT e.*, e.finished_at - e.started_at AS took
FROM job_executions e
WHERE e.status NOT IN ('PENDING', 'RUNNING');
COMMENT ON VIEW job_history IS 'Final executions, by the name that stays wherever they may be stored one day.';
