-- What a metric tells about the job database: rows of (metric, label or NULL, number). One statement, asked for every few seconds and
-- never by a scrape. Each part is bounded, so that its cost does not grow with the history, nor beyond a point with what waits.


-- name: measure
-- Index: job_executions_claim and _claim_keyed, up to 20,000 entries of each queue (by a range, as the views say why), and the first
-- one of each priority. At most 100 queues.
WITH moment AS MATERIALIZED (SELECT {s}.job_now() AS now),
named AS MATERIALIZED (SELECT n.name FROM {s}.job_queue_names() AS n (name) ORDER BY n.name LIMIT 100),
waiting AS MATERIALIZED (
    SELECT named.name, count(*) FILTER (WHERE e.available_at <= moment.now) AS waiting, count(*) FILTER (WHERE e.available_at > moment.now) AS delayed
    FROM moment CROSS JOIN named LEFT JOIN LATERAL (
        (SELECT u.available_at FROM {s}.job_executions AS u
         WHERE u.queue >= named.name AND u.queue <= named.name AND u.status = 'PENDING' AND u.concurrency_key IS NULL LIMIT 20000)
        UNION ALL
        (SELECT k.available_at FROM {s}.job_executions AS k
         WHERE k.queue >= named.name AND k.queue <= named.name AND k.status = 'PENDING' AND k.concurrency_key IS NOT NULL LIMIT 20000)
    ) AS e ON true
    GROUP BY named.name
),
oldest AS MATERIALIZED (
    SELECT named.name, coalesce(greatest(extract(epoch FROM moment.now) - extract(epoch FROM min(e.available_at)), 0), 0)::double precision AS seconds
    FROM moment CROSS JOIN named CROSS JOIN generate_series(-9, 9) AS level (priority) LEFT JOIN LATERAL (
        (SELECT u.available_at FROM {s}.job_executions AS u
         WHERE u.queue = named.name AND u.priority = level.priority AND u.status = 'PENDING' AND u.concurrency_key IS NULL ORDER BY u.available_at LIMIT 1)
        UNION ALL
        (SELECT k.available_at FROM {s}.job_executions AS k
         WHERE k.queue = named.name AND k.priority = level.priority AND k.status = 'PENDING' AND k.concurrency_key IS NOT NULL ORDER BY k.available_at LIMIT 1)
    ) AS e ON true
    GROUP BY named.name, moment.now
),
running AS MATERIALIZED (SELECT e.queue AS name, count(*) AS number FROM {s}.job_executions AS e WHERE e.status = 'RUNNING' GROUP BY e.queue),
doubt AS MATERIALIZED (SELECT count(*) AS number, coalesce(extract(epoch FROM max(d.age)), 0)::double precision AS age FROM {s}.job_in_doubt AS d),
sessions AS MATERIALIZED (
    SELECT max(greatest(age(a.backend_xmin), age(a.backend_xid))) AS xids,
           extract(epoch FROM clock_timestamp() - min(a.xact_start))::double precision AS seconds
    FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
)
SELECT 'scheduler_queue_waiting' AS metric, w.name AS label, least(w.waiting, 20000)::double precision AS number FROM waiting AS w
UNION ALL SELECT 'scheduler_queue_delayed', w.name, least(w.delayed, 20000) FROM waiting AS w
UNION ALL SELECT 'scheduler_queue_oldest_seconds', o.name, o.seconds FROM oldest AS o
UNION ALL SELECT 'scheduler_queue_running', n.name, coalesce(r.number, 0) FROM named AS n LEFT JOIN running AS r ON r.name = n.name
UNION ALL SELECT 'scheduler_queue_paused', n.name, coalesce(q.paused AND (q.resume_at IS NULL OR q.resume_at > m.now), false)::integer
          FROM moment AS m CROSS JOIN named AS n LEFT JOIN {s}.job_queues AS q ON q.name = n.name
UNION ALL SELECT 'scheduler_tick_lag_seconds', NULL, coalesce(greatest(extract(epoch FROM m.now) - extract(epoch FROM min(c.next_run_at)), 0), 0)
          FROM moment AS m LEFT JOIN {s}.cron_jobs AS c ON c.enabled AND c.invalid_reason IS NULL AND c.next_run_at <= m.now GROUP BY m.now
UNION ALL SELECT 'scheduler_cron_jobs', s.state, count(c.id)
          FROM (VALUES ('enabled'), ('paused'), ('invalid')) AS s (state)
          LEFT JOIN {s}.cron_jobs AS c ON s.state = CASE WHEN NOT c.enabled THEN 'paused' WHEN c.invalid_reason IS NULL THEN 'enabled' ELSE 'invalid' END
          GROUP BY s.state
UNION ALL SELECT 'scheduler_dead_letters', NULL, count(*)
          FROM (SELECT FROM {s}.job_executions AS e WHERE e.status IN ('FAILED', 'TIMEOUT') LIMIT 10000) AS d
UNION ALL SELECT 'scheduler_workers', NULL, count(*)
          FROM {s}.job_workers AS w CROSS JOIN moment AS m WHERE w.status IN ('ACTIVE', 'DRAINING') AND w.lease_until > m.now
UNION ALL SELECT 'scheduler_in_doubt', NULL, doubt.number FROM doubt
UNION ALL SELECT 'scheduler_in_doubt_age_seconds', NULL, doubt.age FROM doubt
UNION ALL SELECT 'scheduler_dead_rows', t.relname::text, t.n_dead_tup FROM pg_stat_user_tables AS t
          WHERE t.relid = ANY (ARRAY['{s}.cron_jobs', '{s}.job_executions', '{s}.job_workers', '{s}.job_transactions', '{s}.job_messages']::regclass[]::oid[])
UNION ALL SELECT 'scheduler_xmin_age_transactions', NULL, greatest(
              coalesce(sessions.xids, 0), (SELECT coalesce(max(greatest(age(s.xmin), age(s.catalog_xmin))), 0) FROM pg_replication_slots AS s),
              (SELECT coalesce(max(age(p.transaction)), 0) FROM pg_prepared_xacts AS p WHERE p.database = current_database())) FROM sessions
UNION ALL SELECT 'scheduler_xmin_age_seconds', NULL, coalesce(greatest(sessions.seconds, 0), 0) FROM sessions
UNION ALL SELECT 'scheduler_notification_queue_ratio', NULL, pg_notification_queue_usage();
