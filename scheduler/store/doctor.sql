-- What `scheduler doctor` looks at. Each statement is bounded: by a LIMIT, an index, or a table of settings that stays small. None
-- counts executions; with 10,000,000 of them each takes milliseconds. EXPLAIN is a test: tests/doctor/test_plans.py.
-- Ages are in seconds, which may be infinite where an interval may not: those of rows by job_now(), those of sessions by the server's
-- own clock.


-- name: doctor_server
SELECT current_setting('autovacuum')::boolean AS autovacuum, current_setting('track_counts')::boolean AS track_counts,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_sessions, current_user::text AS role,
       current_database()::text AS database;


-- name: doctor_identity
-- The same for two urls that lead to one database of one server, its standbys included.
SELECT system_identifier::text AS server, current_database()::text AS database, pg_is_in_recovery() AS standby FROM pg_control_system();


-- name: doctor_missing
-- Tables and views that somebody has dropped, though the schema is at its revision.
SELECT needed.name
FROM unnest(%(names)s::text[]) AS needed (name)
WHERE NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                  WHERE c.relname = needed.name AND n.nspname = %(schema)s)
ORDER BY needed.name;


-- name: doctor_rights
-- What the role lacks of that which `scheduler run` does with its tables.
SELECT c.relname::text AS name, needed.privilege
FROM (VALUES ('cron_jobs', 'SELECT'), ('cron_jobs', 'UPDATE'), ('job_executions', 'SELECT'), ('job_executions', 'INSERT'),
             ('job_executions', 'UPDATE'), ('job_workers', 'SELECT'), ('job_workers', 'INSERT'), ('job_workers', 'UPDATE'),
             ('job_queues', 'SELECT'), ('job_installation', 'SELECT'), ('job_transactions', 'SELECT'), ('job_transactions', 'INSERT'),
             ('job_transactions', 'UPDATE'), ('job_messages', 'SELECT'), ('job_messages', 'INSERT')) AS needed (name, privilege)
JOIN pg_class AS c ON c.relname = needed.name
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = %(schema)s
WHERE NOT (has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, needed.privilege))
ORDER BY c.relname, needed.privilege;


-- name: doctor_connections
-- Sessions of others are counted, not read, so that any role may.
SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(current_setting('reserved_connections', true)::integer, 0) AS room,
       (SELECT sum(d.numbackends)::integer FROM pg_stat_database AS d WHERE d.datid <> 0) AS used,
       pg_notification_queue_usage() AS notifications;


-- name: doctor_tzdata
SELECT c.tzdata_version AS version, count(*) AS cron_jobs
FROM {s}.cron_jobs AS c
WHERE c.enabled AND c.invalid_reason IS NULL AND c.tzdata_version IS NOT NULL
GROUP BY c.tzdata_version
ORDER BY count(*) DESC, c.tzdata_version
LIMIT 10;


-- name: doctor_zones
-- Zones in use that the server itself doesn't know.
SELECT c.timezone AS zone, min(c.name) AS cron_job
FROM {s}.cron_jobs AS c
WHERE c.enabled AND c.invalid_reason IS NULL AND c.timezone NOT IN (SELECT z.name FROM pg_timezone_names AS z)
GROUP BY c.timezone
ORDER BY c.timezone
LIMIT 20;


-- name: doctor_installation
SELECT i.id::text FROM {s}.job_installation AS i;


-- name: doctor_prepared_room
SELECT current_setting('max_prepared_transactions')::integer AS most;


-- name: doctor_prepared
-- Prepared transactions of this database that nobody has ended for a while, those of schedulers first; each of the others is asked for
-- its own.
SELECT p.gid, p.database::text, p.owner::text, extract(epoch FROM clock_timestamp() - p.prepared)::double precision AS age,
       current_user::text AS role, p.owner = current_user OR r.rolsuper AS may_end
FROM pg_prepared_xacts AS p JOIN pg_roles AS r ON r.rolname = current_user
WHERE p.prepared < clock_timestamp() - make_interval(secs => %(seconds)s) AND p.database = current_database()
ORDER BY NOT starts_with(p.gid, 'sched:'), p.prepared
LIMIT 20;


-- name: doctor_decisions
SELECT t.gid, t.decision FROM {s}.job_transactions AS t WHERE t.gid = ANY(%(gids)s::text[]);


-- name: doctor_undelivered
-- Decisions that some participant may not have heard of. Index: job_transactions_unsettled.
SELECT t.gid, t.participants, extract(epoch FROM {s}.job_now() - t.decided_at)::double precision AS age
FROM {s}.job_transactions AS t
WHERE t.settled_at IS NULL AND t.decided_at < {s}.job_now() - make_interval(secs => %(seconds)s)
ORDER BY t.gid
LIMIT 1000;


-- name: doctor_tables
SELECT c.relname::text AS name,
       coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'autovacuum_enabled'), true) AS autovacuum,
       coalesce(s.n_live_tup, 0) AS live, coalesce(s.n_dead_tup, 0) AS dead,
       extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::double precision AS vacuumed_for
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s::text[]) AND c.relkind = 'r'
ORDER BY c.relname;


-- name: doctor_horizon
-- Who keeps vacuum from removing what is dead in this database: xids is by how many transactions.
SELECT * FROM (
    SELECT 'session' AS kind, a.pid::text AS name, a.usename::text AS role, a.application_name AS application, a.state,
           extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS age, coalesce(greatest(age(a.backend_xmin), age(a.backend_xid)), 0) AS xids
    FROM pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
      AND (a.state LIKE 'idle in transaction%%' AND a.state_change < clock_timestamp() - make_interval(secs => %(idle_seconds)s)
           OR coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL AND a.xact_start < clock_timestamp() - make_interval(secs => %(busy_seconds)s))
    UNION ALL
    SELECT 'slot', s.slot_name::text, NULL, s.plugin::text, CASE WHEN s.active THEN 'active' ELSE 'inactive' END,
           NULL::double precision, greatest(age(s.xmin), age(s.catalog_xmin))
    FROM pg_replication_slots AS s
    WHERE (s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL) AND (s.database IS NULL OR s.database = current_database())
      AND greatest(age(s.xmin), age(s.catalog_xmin)) > CASE WHEN s.active THEN %(xids)s ELSE 0 END
    UNION ALL
    SELECT 'standby', r.pid::text, r.usename::text, r.application_name, r.state, NULL::double precision, age(r.backend_xmin)
    FROM pg_stat_replication AS r
    WHERE age(r.backend_xmin) > %(xids)s
) AS holder
ORDER BY holder.xids DESC, holder.age DESC
LIMIT 20;


-- name: doctor_ages
SELECT age(d.datfrozenxid) AS xids, mxid_age(d.datminmxid) AS multixacts FROM pg_database AS d WHERE d.datname = current_database();


-- name: doctor_workers
-- Processes that say they live, and those lost within a day. A lease is valid as the claim sees it.
SELECT w.name, w.status, w.version, w.queues, w.pool_size, w.running_count AS running, (extract(epoch FROM {s}.job_now()) - extract(epoch FROM w.heartbeat_at))::double precision AS silent_for,
       w.status IN ('ACTIVE', 'DRAINING') AND w.heartbeat_at <= {s}.job_now() + interval '2 s' AND {s}.job_now() < w.lease_until AS alive,
       (extract(epoch FROM {s}.job_now())
        - (SELECT extract(epoch FROM max(e.started_at)) FROM {s}.job_executions AS e WHERE e.claimed_by = w.id AND e.status = 'RUNNING'))::double precision AS last_claim,
       (SELECT jsonb_object_agg(l.told ->> 'key', l.told -> 'value' -> 'age')::text
        FROM jsonb_path_query(w.loops, '$.keyvalue() ? (@.value.limit > 0 && @.value.age > @.value.limit && @.value.age < 1e9)', '{}', true) AS l (told)) AS stalled
FROM {s}.job_workers AS w
WHERE w.status IN ('ACTIVE', 'DRAINING') OR (w.status = 'LOST' AND w.heartbeat_at > {s}.job_now() - interval '1 day')
ORDER BY w.started_at DESC
LIMIT 1000;


-- name: doctor_abandoned
-- RUNNING under a worker that is gone, for longer than any rescuer would need. Index: job_executions_of_worker.
SELECT e.id, e.handler_name, (extract(epoch FROM {s}.job_now()) - extract(epoch FROM e.started_at))::double precision AS age
FROM {s}.job_executions AS e
LEFT JOIN {s}.job_workers AS w ON w.id = e.claimed_by
WHERE e.status = 'RUNNING'
  AND (w.id IS NULL OR ((w.status IN ('STOPPED', 'LOST') OR w.lease_until < {s}.job_now())
                        AND greatest(w.heartbeat_at, w.lease_until) < {s}.job_now() - make_interval(secs => %(seconds)s)))
ORDER BY e.claimed_by
LIMIT 20;


-- name: doctor_overdue
-- Past its timeout, and its worker has not recorded it. Index: job_executions_of_worker.
SELECT e.id, e.handler_name, (extract(epoch FROM {s}.job_now()) - extract(epoch FROM e.started_at))::double precision - e.timeout_seconds AS over, w.name AS worker
FROM {s}.job_executions AS e
JOIN {s}.job_workers AS w ON w.id = e.claimed_by
WHERE e.status = 'RUNNING' AND w.status IN ('ACTIVE', 'DRAINING') AND {s}.job_now() < w.lease_until
  AND e.started_at + make_interval(secs => e.timeout_seconds) < {s}.job_now() - make_interval(secs => %(seconds)s)
ORDER BY e.claimed_by
LIMIT 20;


-- name: doctor_waiting
-- The queues that something waits in, and since when: one probe for each queue, then one for each of its levels, however much waits.
-- Index: job_executions_claim, _claim_keyed.
WITH RECURSIVE plain (queue) AS (
    (SELECT e.queue FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL ORDER BY e.queue LIMIT 1)
    UNION ALL
    SELECT (SELECT e.queue FROM {s}.job_executions AS e
            WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL AND e.queue > p.queue ORDER BY e.queue LIMIT 1)
    FROM plain AS p WHERE p.queue IS NOT NULL
), keyed (queue) AS (
    (SELECT e.queue FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL ORDER BY e.queue LIMIT 1)
    UNION ALL
    SELECT (SELECT e.queue FROM {s}.job_executions AS e
            WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL AND e.queue > k.queue ORDER BY e.queue LIMIT 1)
    FROM keyed AS k WHERE k.queue IS NOT NULL
), queues (queue) AS (
    (SELECT p.queue FROM plain AS p WHERE p.queue IS NOT NULL LIMIT 200) UNION (SELECT k.queue FROM keyed AS k WHERE k.queue IS NOT NULL LIMIT 200)
)
SELECT q.queue, (extract(epoch FROM {s}.job_now()) - extract(epoch FROM min(oldest.available_at)))::double precision AS age,
       (extract(epoch FROM {s}.job_now()) - extract(epoch FROM min(oldest.available_at) FILTER (WHERE NOT oldest.keyed)))::double precision AS unkeyed_age
FROM queues AS q
CROSS JOIN generate_series(-9, 9) AS level (priority)
CROSS JOIN LATERAL (
    (SELECT e.available_at, false AS keyed FROM {s}.job_executions AS e
     WHERE e.queue = q.queue AND e.priority = level.priority AND e.status = 'PENDING' AND e.concurrency_key IS NULL
       AND e.available_at <= (SELECT {s}.job_now())
     ORDER BY e.available_at, e.id LIMIT 1)
    UNION ALL
    (SELECT e.available_at, true FROM {s}.job_executions AS e
     WHERE e.queue = q.queue AND e.priority = level.priority AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL
       AND e.available_at <= (SELECT {s}.job_now())
     ORDER BY e.available_at, e.id LIMIT 1)
) AS oldest
GROUP BY q.queue
ORDER BY q.queue;


-- name: doctor_paused
SELECT q.name AS queue, q.paused_reason AS reason, q.resume_at
FROM {s}.job_queues AS q
WHERE q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now())
ORDER BY q.name
LIMIT 50;


-- name: doctor_limits
-- The limits that hold something up now, with the numbers they have. Of a range statistics say nothing, so that the index is used. Index: job_executions_of_worker; job_executions_claim, _claim_keyed.
SELECT l.queue, l.limits
FROM (
    SELECT q.name AS queue, array_remove(ARRAY[
        CASE WHEN q.max_running <= (SELECT count(*) FROM {s}.job_executions AS r WHERE r.queue >= q.name AND r.queue <= q.name AND r.status = 'RUNNING')
             THEN 'max_running ' || q.max_running END,
        CASE WHEN q.rate_limit IS NOT NULL AND q.rate_next_at > {s}.job_now() THEN 'rate_limit ' || q.rate_limit END,
        CASE WHEN q.max_pending <= (SELECT count(*) FROM (
            (SELECT FROM {s}.job_executions AS e WHERE e.queue >= q.name AND e.queue <= q.name AND e.status = 'PENDING' AND e.concurrency_key IS NULL LIMIT q.max_pending)
            UNION ALL
            (SELECT FROM {s}.job_executions AS e WHERE e.queue >= q.name AND e.queue <= q.name AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL LIMIT q.max_pending)
        ) AS waiting) THEN 'max_pending ' || q.max_pending END
    ], NULL) AS limits
    FROM {s}.job_queues AS q
    WHERE coalesce(q.max_running, q.rate_limit, q.max_pending) IS NOT NULL
) AS l
WHERE cardinality(l.limits) > 0
ORDER BY l.queue
LIMIT 200;


-- name: doctor_paused_cron_jobs
-- Those that were to resume first, then those whose pause has a reason. The last edit of a paused row is the pause, or later.
SELECT c.name, c.paused_reason AS reason, c.resume_at, (extract(epoch FROM {s}.job_now()) - extract(epoch FROM c.resume_at))::double precision AS over,
       (extract(epoch FROM {s}.job_now()) - extract(epoch FROM c.updated_at))::double precision AS age
FROM {s}.cron_jobs AS c
WHERE NOT c.enabled
ORDER BY c.resume_at, c.paused_reason IS NULL, c.name
LIMIT 20;


-- name: doctor_planned
-- How many cron jobs are on, how many of them are late, and by how much at the most.
SELECT count(*) AS enabled, count(*) FILTER (WHERE due.at < due.now - make_interval(secs => %(seconds)s)) AS late,
       max(extract(epoch FROM due.now) - extract(epoch FROM due.at))::double precision AS late_by, (array_agg(c.name ORDER BY due.at, c.name))[1] AS latest
FROM {s}.cron_jobs AS c
CROSS JOIN LATERAL (SELECT coalesce(c.next_run_at, c.planned_until) AS at, {s}.job_now() AS now) AS due
WHERE c.enabled AND c.invalid_reason IS NULL;


-- name: doctor_invalid
SELECT c.name, c.cron_expression, c.timezone, c.invalid_reason AS reason
FROM {s}.cron_jobs AS c
WHERE c.enabled AND c.invalid_reason IS NOT NULL
ORDER BY c.name
LIMIT 20;


-- name: doctor_never
-- The ticks of a skip on request count as planned up to its end. Index: job_executions_skipped.
SELECT c.name, c.cron_expression, coalesce(c.ends_at <= {s}.job_now(), false) AS over,
       CASE WHEN c.planned_until > {s}.job_now() THEN (
           SELECT e.skipped_until FROM {s}.job_executions AS e
           WHERE e.cron_job_id = c.id AND e.status = 'SKIPPED' AND e.source = 'manual' AND e.skipped_until > {s}.job_now()
           ORDER BY e.scheduled_at DESC LIMIT 1) END AS skipped_until
FROM {s}.cron_jobs AS c
WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at = 'infinity'
ORDER BY c.name
LIMIT 20;


-- name: doctor_dates
-- Dates that nobody means. The next tick counts as well: a schedule may be valid and years away. JSON writes them in the same way
-- whatever the session's DateStyle is.
SELECT c.name, d.field, replace(to_json(d.value AT TIME ZONE 'UTC') #>> '{}', 'T', ' ') AS value,
       CASE WHEN NOT isfinite(d.value) THEN 'infinite' WHEN d.field = 'ends_at' AND d.value <= c.starts_at THEN 'before starts_at'
            WHEN d.value < '2000-01-01' THEN 'long ago' ELSE 'far' END AS why
FROM {s}.cron_jobs AS c
CROSS JOIN LATERAL (VALUES ('starts_at', c.starts_at), ('ends_at', c.ends_at), ('next_run_at', nullif(c.next_run_at, 'infinity'))) AS d (field, value)
WHERE c.enabled AND (NOT isfinite(d.value) OR d.value < '2000-01-01' OR d.value > {s}.job_now() + interval '10 years'
                     OR (d.field = 'ends_at' AND d.value <= c.starts_at))
ORDER BY c.name, d.field
LIMIT 20;


-- name: doctor_clock
-- Where there is no job_now() yet.
SELECT clock_timestamp() AS now;


-- name: doctor_streaks
-- Cron jobs whose last three executions all failed, those by hand included: the thousand that ran last are looked at. Index:
-- job_executions_tick.
SELECT c.name, last.id, left(split_part(e.error, E'\n', 1), 200) AS error
FROM (SELECT r.id, r.name FROM {s}.cron_jobs AS r WHERE r.enabled ORDER BY r.last_run_at DESC NULLS LAST LIMIT 1000) AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS seen, bool_and(newest.status IN ('FAILED', 'TIMEOUT')) AS failed, (array_agg(newest.id))[1] AS id
    FROM (SELECT t.id, t.status FROM {s}.job_executions AS t
          WHERE t.cron_job_id = c.id AND t.status <> 'SKIPPED' AND t.finished_at IS NOT NULL
          ORDER BY t.scheduled_at DESC LIMIT 3) AS newest
) AS last
JOIN {s}.job_executions AS e ON e.id = last.id
WHERE last.seen = 3 AND last.failed
ORDER BY c.name
LIMIT 20;


-- name: doctor_cron_handlers
SELECT c.handler_name AS handler, min(c.name) AS example, count(*) AS count
FROM {s}.cron_jobs AS c
WHERE c.enabled AND c.handler_name <> ALL(%(known)s::text[])
GROUP BY c.handler_name
ORDER BY c.handler_name
LIMIT 20;


-- name: doctor_waiting_handlers
-- Of the first thousand that wait, with a key and without. Index: job_executions_claim, _claim_keyed.
SELECT w.handler_name AS handler, min(w.id) AS example, count(*) AS count
FROM (
    (SELECT e.handler_name, e.id FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL
     ORDER BY e.queue, e.priority DESC, e.available_at, e.id LIMIT 1000)
    UNION ALL
    (SELECT e.handler_name, e.id FROM {s}.job_executions AS e WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL
     ORDER BY e.queue, e.priority DESC, e.available_at, e.id LIMIT 1000)
) AS w
WHERE w.handler_name <> ALL(%(known)s::text[])
GROUP BY w.handler_name
ORDER BY w.handler_name
LIMIT 20;


-- name: doctor_failed_handlers
-- Of the last thousand dead letters of a day: those for want of a handler. Index: job_executions_dead_letters.
SELECT f.handler_name AS handler, max(f.id) AS example, count(*) AS count
FROM (SELECT e.handler_name, e.id, e.error FROM {s}.job_executions AS e
      WHERE e.status IN ('FAILED', 'TIMEOUT') AND e.finished_at > (SELECT {s}.job_now() - interval '1 day')
      ORDER BY e.finished_at DESC LIMIT 1000) AS f
WHERE starts_with(f.error, %(beginning)s)
GROUP BY f.handler_name
ORDER BY f.handler_name
LIMIT 20;
