-- What deletes rows that are over, a few at a time. `{s}` and the parameters are as in queries.sql.
-- No index is for this: the primary key is walked upwards, from the oldest row to the first that is too young to go.


-- name: prune_turn
-- One process prunes at a time: whoever has this lock, in a transaction that does nothing else and so keeps no vacuum waiting.
SELECT pg_try_advisory_xact_lock(hashtextextended('scheduler prune', '{s}.job_executions'::regclass::oid::bigint));


-- name: prune_begin
-- The moment that all ages are counted from, the rules of queues (a million days are for ever), and the ids of cron jobs that have rules of their own.
SELECT extract(epoch FROM {s}.job_now())::double precision,
       (SELECT jsonb_object_agg(q.name, jsonb_build_array(CASE WHEN q.keep_days IS NOT NULL THEN least(q.keep_days, 1e6) END, q.keep_last)) FROM {s}.job_queues AS q
        WHERE q.keep_days IS NOT NULL OR q.keep_last IS NOT NULL),
       (SELECT jsonb_object_agg(c.name, c.id) FROM {s}.cron_jobs AS c WHERE c.name = ANY (%(cron_jobs)s::text[]));


-- name: prune_peers
-- How many processes share the pruning.
SELECT count(*) FROM {s}.job_workers AS w WHERE w.status = 'ACTIVE' AND w.lease_until > {s}.job_now();


-- name: prune_count
-- A window of the primary key, downwards from `below`: how many final rows it holds of each status and queue, and in the last row where
-- it ends. Ticks of a cron job with a bound of its own aren't counted with others.
WITH part AS MATERIALIZED (
    SELECT e.id, e.status, e.queue, e.cron_job_id FROM {s}.job_executions AS e WHERE e.id < %(below)s::bigint ORDER BY e.id DESC LIMIT %(look)s
)
SELECT p.status, p.queue, count(*), NULL::bigint FROM part AS p
WHERE p.status NOT IN ('PENDING', 'RUNNING') AND (p.status = 'SKIPPED' OR coalesce(p.cron_job_id <> ALL (%(cron_job_ids)s::bigint[]), true))
GROUP BY p.status, p.queue
UNION ALL
SELECT NULL, NULL, NULL, min(p.id) FROM part AS p;


-- name: prune_bound
-- The id of the `last` of these rows in such a window: of a queue, or of a status in all queues that have no bound of their own.
SELECT e.id FROM {s}.job_executions AS e
WHERE e.id < %(below)s::bigint AND e.id >= %(first)s::bigint AND e.status NOT IN ('PENDING', 'RUNNING')
  AND (e.status = 'SKIPPED' OR coalesce(e.cron_job_id <> ALL (%(cron_job_ids)s::bigint[]), true))
  AND CASE WHEN %(of_queue)s THEN e.queue || '' = %(name)s ELSE e.status || '' = %(name)s AND e.queue <> ALL (%(queues)s::text[]) END
ORDER BY e.id DESC OFFSET %(last)s::bigint - 1 LIMIT 1;


-- name: prune_cron_job_bound
-- The tick and the id of the last execution of a cron job that is among its newest `last`. No row: it has no more. Index: job_executions_tick.
SELECT extract(epoch FROM e.scheduled_at)::double precision, e.id
FROM {s}.job_executions AS e
WHERE e.cron_job_id = %(cron_job_id)s AND e.status <> 'SKIPPED' AND e.finished_at IS NOT NULL
ORDER BY e.scheduled_at DESC
OFFSET %(last)s::bigint - 1 LIMIT 1;


-- name: prune_look
-- The next window of the primary key: which of its rows are to go, `n` at most, and in the last row where the window ends.
-- What stays whatever the rules say: what isn't final; a skip that is still to come; who holds a key for ever, as long as that
-- rule says; what an unsettled transaction names; and the newest outcome of a cron job, which cron_job_status tells.
WITH part AS MATERIALIZED (
    SELECT e.id, e.status, e.queue, e.cron_job_id, e.scheduled_at, e.finished_at, e.unique_key IS NOT NULL AND e.unique_until = 'forever' AS forever,
           (%(now)s - extract(epoch FROM greatest(e.finished_at, e.skipped_until))::double precision) / 86400 AS age
    FROM {s}.job_executions AS e
    WHERE e.id > %(above)s::bigint AND e.id <= %(top)s::bigint
    ORDER BY e.id LIMIT %(look)s
), due AS (
    SELECT p.id, p.status, p.queue, p.finished_at
    FROM part AS p
    WHERE p.status = ANY (%(statuses)s::text[]) AND p.status NOT IN ('PENDING', 'RUNNING') AND p.age > 0
      AND coalesce(p.queue = %(queue)s::text, true)
      AND (p.age > coalesce((%(cron_days)s::jsonb ->> p.cron_job_id::text)::double precision, (%(queue_days)s::jsonb ->> p.queue)::double precision,
                            (%(status_days)s::jsonb ->> p.status)::double precision, 'infinity')
           OR CASE WHEN p.status <> 'SKIPPED' AND %(cron_bounds)s::jsonb ? p.cron_job_id::text
                   THEN p.scheduled_at < to_timestamp((%(cron_bounds)s::jsonb ->> p.cron_job_id::text)::double precision)
                   ELSE p.id < coalesce((%(queue_bounds)s::jsonb ->> p.queue)::bigint, (%(status_bounds)s::jsonb ->> p.status)::bigint) END)
      AND (NOT p.forever OR p.age > coalesce(%(forever_days)s::double precision, 'infinity'))
      AND p.id <> ALL (ARRAY(SELECT t.execution_id FROM {s}.job_transactions AS t WHERE t.settled_at IS NULL AND t.execution_id IS NOT NULL))
      AND (p.cron_job_id IS NULL OR p.status = 'SKIPPED'
           OR (SELECT c.id FROM {s}.cron_jobs AS c WHERE c.id = p.cron_job_id) IS NULL
           OR EXISTS (SELECT FROM {s}.job_executions AS n
                      WHERE n.cron_job_id = p.cron_job_id AND n.status <> 'SKIPPED' AND n.scheduled_at > p.scheduled_at AND n.finished_at IS NOT NULL))
    ORDER BY p.id LIMIT %(n)s
)
SELECT d.id, d.status, d.queue, extract(epoch FROM greatest(d.finished_at, to_timestamp(0)))::double precision FROM due AS d
UNION ALL
SELECT max(p.id), NULL, NULL, NULL FROM part AS p;


-- name: prune_delete
-- Those of them that are still what they were: one that was sent back since is not final, or ended later than this began.
DELETE FROM {s}.job_executions AS e
WHERE e.id = ANY (ARRAY(
    SELECT d.id FROM {s}.job_executions AS d
    WHERE d.id = ANY (%(ids)s::bigint[]) AND d.status NOT IN ('PENDING', 'RUNNING') AND d.finished_at < to_timestamp(%(now)s)
    FOR UPDATE SKIP LOCKED))
RETURNING e.id;


-- name: prune_workers
-- Workers that have ended, and that no running execution names: the rescuer looks for them. Index: job_executions_of_worker.
DELETE FROM {s}.job_workers AS w
WHERE w.id = ANY (ARRAY(
    SELECT d.id FROM {s}.job_workers AS d
    WHERE d.status IN ('STOPPED', 'LOST') AND d.heartbeat_at < to_timestamp(%(now)s - %(days)s * 86400)
      AND NOT EXISTS (SELECT FROM {s}.job_executions AS e WHERE e.claimed_by = d.id AND e.status = 'RUNNING')
    LIMIT %(n)s
    FOR UPDATE SKIP LOCKED))
RETURNING w.id;


-- name: prune_workers_due
SELECT count(*) FROM {s}.job_workers AS d
WHERE d.status IN ('STOPPED', 'LOST') AND d.heartbeat_at < to_timestamp(%(now)s - %(days)s * 86400)
  AND NOT EXISTS (SELECT FROM {s}.job_executions AS e WHERE e.claimed_by = d.id AND e.status = 'RUNNING');


-- name: prune_messages_look
-- The next window of the primary key of job_messages: those to go, whose execution is gone, and in the last row where the window ends.
WITH part AS MATERIALIZED (
    SELECT m.source, m.message_id, m.execution_id, m.received_at FROM {s}.job_messages AS m
    WHERE (m.source, m.message_id) > (%(source)s::text, %(message_id)s::text)
    ORDER BY m.source, m.message_id LIMIT %(look)s
)
(SELECT p.source, p.message_id, true FROM part AS p
 WHERE p.received_at < to_timestamp(%(now)s - %(days)s * 86400) AND NOT EXISTS (SELECT FROM {s}.job_executions AS e WHERE e.id = p.execution_id))
UNION ALL
(SELECT p.source, p.message_id, false FROM part AS p ORDER BY p.source DESC, p.message_id DESC LIMIT 1);


-- name: prune_messages
DELETE FROM {s}.job_messages AS m
USING unnest(%(sources)s::text[], %(message_ids)s::text[]) AS d (source, message_id)
WHERE m.source = d.source AND m.message_id = d.message_id
RETURNING m.message_id;


-- name: prune_requests
DELETE FROM {s}.job_requests AS r
USING (SELECT d.scope, d.key FROM {s}.job_requests AS d WHERE d.created_at < to_timestamp(%(now)s - %(days)s * 86400) LIMIT %(n)s) AS old
WHERE r.scope = old.scope AND r.key = old.key
RETURNING r.key;


-- name: prune_requests_due
SELECT count(*) FROM {s}.job_requests AS r WHERE r.created_at < to_timestamp(%(now)s - %(days)s * 86400);


-- name: prune_audit
-- The oldest first, as far as the first that is to stay. Index: the primary key.
DELETE FROM {s}.job_audit AS a
WHERE a.id = ANY (ARRAY(SELECT d.id FROM (SELECT o.id, o.at FROM {s}.job_audit AS o ORDER BY o.id LIMIT %(n)s) AS d
                        WHERE d.at < to_timestamp(%(now)s - %(days)s * 86400)))
RETURNING a.id;


-- name: prune_audit_due
SELECT count(*) FROM {s}.job_audit AS a WHERE a.at < to_timestamp(%(now)s - %(days)s * 86400);
