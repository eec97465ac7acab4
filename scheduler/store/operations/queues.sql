-- What a person asks about queues, workers and roles, and does with them; no statement here locks rows for longer than itself.
-- Columns are named as the fields of the dataclasses in operations/. Times come as they are stored, JSON as its text.


-- name: database_time
SELECT {s}.job_now() AS now;


-- name: worker_statuses
SELECT v.id, v.name, v.hostname, v.pid, v.status, v.state, v.queues, v.pool_size, v.running_count, v.succeeded_count, v.failed_count,
       w.heartbeat_at, v.started_at, v.version, v.loops::text, v.stalled::text
FROM {s}.job_worker_status AS v JOIN {s}.job_workers AS w ON w.id = v.id
ORDER BY v.started_at, v.name;


-- name: queue_statuses
SELECT v.queue AS name, v.paused, v.paused_reason, v.resume_at, v.waiting, v.delayed, v.running, extract(epoch FROM v.oldest_waiting)::double precision AS oldest_waiting_seconds,
       v.workers, v.per_minute::double precision, v.max_running, v.key_limit, v.rate_limit, v.rate_period_seconds, v.max_pending, v.aging_seconds,
       v.reached
FROM {s}.job_queue_status AS v
ORDER BY v.queue;


-- name: queue_names
SELECT n.name FROM {s}.job_queue_names() AS n (name) ORDER BY n.name;


-- name: queue_has_executions
-- Any execution, however old; a walk over the primary key that a person waits for where there is none.
SELECT 1 AS found FROM {s}.job_executions AS e WHERE e.queue = %(queue)s LIMIT 1;


-- name: queue_pause
-- As the claim sees it. No row: not paused.
SELECT q.paused_reason, q.resume_at FROM {s}.job_queues AS q
WHERE q.name = %(name)s AND q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now());


-- name: pause_queue
SELECT {s}.pause_queue(%(name)s, %(reason)s, %(resume_at)s);


-- name: resume_queue
SELECT {s}.resume_queue(%(name)s);


-- name: limit_queue
SELECT {s}.limit_queue(%(name)s, %(limits)s::jsonb);


-- name: queue_limits
SELECT q.max_running, q.key_limit, q.rate_limit, q.rate_period_seconds, q.max_pending, q.pause_after_failures, q.pause_seconds, q.aging_seconds,
       q.keep_days, q.keep_last
FROM {s}.job_queues AS q WHERE q.name = %(name)s;


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
