-- What is wrong, by the rules of the settings; a rule whose parameter is NULL is off. Each part is bounded by an index and a LIMIT, or
-- looks at cron jobs, workers or queues, which are few. Numbers and details become sentences in services/alerts/words.py.


-- name: alert_turn
-- One process watches at a time: whoever has this lock until the end of the transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended('scheduler alerts', '{s}.job_alerts'::regclass::oid::bigint));


-- name: alert_causes
-- rule, subject, number, detail. Dead letters of the alerts themselves are nobody's alert, or one that can't be told would make more.
WITH moment AS MATERIALIZED (SELECT {s}.job_now() AS now),
dead AS MATERIALIZED (
    SELECT e.id, e.handler_name, e.cron_job_id, e.finished_at FROM {s}.job_executions AS e
    WHERE e.status IN ('FAILED', 'TIMEOUT') ORDER BY e.finished_at DESC LIMIT 10000
)
SELECT 'dead_letter' AS rule, d.handler_name AS subject, count(*)::double precision AS number, max(d.id)::text AS detail
FROM dead AS d CROSS JOIN moment AS m
WHERE d.finished_at > m.now - make_interval(secs => %(dead_letter_seconds)s::double precision) AND d.handler_name <> 'scheduler.alert'
GROUP BY d.handler_name
UNION ALL
SELECT 'failing_cron_job', c.name, streak.failures, streak.last::text
FROM (SELECT DISTINCT d.cron_job_id AS id FROM dead AS d WHERE d.cron_job_id IS NOT NULL) AS candidate
JOIN {s}.cron_jobs AS c ON c.id = candidate.id AND c.enabled
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE newest.status IN ('FAILED', 'TIMEOUT')) AS failures, max(newest.id) AS last FROM (
        SELECT ended.id, ended.status FROM (
            SELECT e.id, e.cron_job_id, e.scheduled_at, e.status, e.finished_at FROM {s}.job_executions AS e
            WHERE e.cron_job_id >= c.id AND e.cron_job_id <= c.id AND e.status <> 'SKIPPED' ORDER BY e.cron_job_id DESC, e.scheduled_at DESC LIMIT 10000
        ) AS ended
        WHERE ended.finished_at IS NOT NULL ORDER BY ended.cron_job_id DESC, ended.scheduled_at DESC LIMIT %(failing_cron_job_times)s::integer
    ) AS newest
) AS streak
WHERE streak.failures >= %(failing_cron_job_times)s::integer
UNION ALL
SELECT 'late_cron_job', l.name, max(extract(epoch FROM l.late_by)), min(l.reason) FROM {s}.cron_job_late AS l WHERE %(late_cron_job)s::boolean GROUP BY l.name
UNION ALL
SELECT 'slow_cron_job', w.name, extract(epoch FROM w.took), w.execution_id::text FROM {s}.cron_job_slow AS w WHERE %(slow_cron_job)s::boolean
UNION ALL
SELECT 'backlog', n.name, waiting.number, NULL
FROM {s}.job_queue_names() AS n (name) CROSS JOIN moment AS m CROSS JOIN LATERAL (
    SELECT count(*) AS number FROM (
        (SELECT FROM {s}.job_executions AS u
         WHERE u.queue >= n.name AND u.queue <= n.name AND u.status = 'PENDING' AND u.concurrency_key IS NULL AND u.available_at <= m.now
         LIMIT %(backlog)s::integer)
        UNION ALL
        (SELECT FROM {s}.job_executions AS k
         WHERE k.queue >= n.name AND k.queue <= n.name AND k.status = 'PENDING' AND k.concurrency_key IS NOT NULL AND k.available_at <= m.now
         LIMIT %(backlog)s::integer)
    ) AS row
) AS waiting
WHERE waiting.number >= %(backlog)s::integer
UNION ALL
SELECT 'stuck_loop', w.name, max(stalled.value::double precision), string_agg(DISTINCT stalled.key, ', ' ORDER BY stalled.key)
FROM {s}.job_worker_status AS w CROSS JOIN LATERAL jsonb_each_text(w.stalled) AS stalled
WHERE w.status IN ('ACTIVE', 'DRAINING') AND %(stuck_loop)s::boolean
GROUP BY w.name
UNION ALL
SELECT 'in_doubt', d.gid, max(extract(epoch FROM d.age)), min(d.decision) FROM {s}.job_in_doubt AS d
WHERE d.age > make_interval(secs => %(in_doubt_seconds)s::double precision)
GROUP BY d.gid
LIMIT 1000;


-- name: keep_alerts
-- New ones are opened, those that are open are seen again. Index: job_alerts_open.
INSERT INTO {s}.job_alerts AS a (rule, subject, message, number, opened_at, last_seen_at)
SELECT c.rule, c.subject, c.message, c.number, m.now, m.now
FROM jsonb_to_recordset(%(causes)s::jsonb) AS c (rule text, subject text, message text, number double precision)
CROSS JOIN (SELECT {s}.job_now() AS now OFFSET 0) AS m
ON CONFLICT (rule, subject) WHERE closed_at IS NULL
    DO UPDATE SET message = excluded.message, number = excluded.number, last_seen_at = excluded.last_seen_at
RETURNING a.id, a.rule, a.subject, a.message, a.number, extract(epoch FROM a.opened_at)::double precision, a.opened_at = a.last_seen_at AS opened;


-- name: close_alerts
UPDATE {s}.job_alerts AS a SET closed_at = {s}.job_now()
WHERE a.closed_at IS NULL AND a.id <> ALL (%(seen)s::bigint[]) AND a.last_seen_at < {s}.job_now() - make_interval(secs => %(quiet_seconds)s::double precision)
RETURNING a.id, a.rule, a.subject, a.message, a.number, extract(epoch FROM a.opened_at)::double precision;


-- name: forget_alerts
DELETE FROM {s}.job_alerts AS a WHERE a.closed_at < {s}.job_now() - make_interval(secs => %(days)s::double precision * 86400);


-- name: tell_alerts
-- One execution for each alert and target; of a target that hangs, one at a time takes a slot.
INSERT INTO {s}.job_executions (handler_name, handler_params, queue, concurrency_key)
SELECT 'scheduler.alert', t.params, %(queue)s, 'alert:' || (t.params ->> 'target')
FROM jsonb_array_elements(%(telling)s::jsonb) AS t (params);
