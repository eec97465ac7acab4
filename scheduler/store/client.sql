-- What clients ask. Each answers with one column, JSON as text where there is more to say: so it reads the same by every
-- driver, whatever the caller's connection makes of rows and types. Parameters of text go by psycopg and by SQLAlchemy.


-- name: client_executions
-- How these are, in no order; a null for one that isn't there. With `final_only`, everything about those that are final, and
-- of the others as much as changes. Index: the primary key.
SELECT json_build_object(
    'id', w.id, 'status', e.status, 'attempt', e.attempt, 'progress', e.progress, 'progress_message', e.progress_message,
    'execution', CASE WHEN e.id IS NOT NULL AND (e.finished_at IS NOT NULL OR NOT CAST(%(final_only)s AS boolean)) THEN json_build_object(
        'id', e.id, 'source', e.source, 'cron_job_id', e.cron_job_id, 'handler_name', e.handler_name, 'params', e.handler_params::text,
        'queue', e.queue, 'priority', e.priority, 'status', e.status, 'scheduled_at', e.scheduled_at, 'available_at', e.available_at,
        'timeout_seconds', e.timeout_seconds, 'attempt', e.attempt, 'retry_count', e.retry_count, 'max_retry', e.max_retry,
        'started_at', e.started_at, 'finished_at', e.finished_at, 'cancel_requested_at', e.cancel_requested_at, 'progress', e.progress,
        'progress_message', e.progress_message, 'result', e.result::text, 'error', e.error, 'traceback', e.errors -> -1 ->> 'traceback',
        'unique_key', e.unique_key, 'concurrency_key', e.concurrency_key, 'created_at', e.created_at) END)::text
FROM unnest(CAST(%(ids)s AS bigint[])) AS w (id) LEFT JOIN {s}.job_executions AS e ON e.id = w.id;


-- name: client_cancel
SELECT {s}.cancel_job(CAST(%(id)s AS bigint), %(reason)s);


-- name: client_retry
-- With who holds its unique key, where that keeps it from going back. Index: job_executions_unique_key.
SELECT json_build_object('status', r.status, 'holder', h.id, 'holder_status', h.status, 'unique_key', e.unique_key)::text
FROM (SELECT {s}.retry_job(CAST(%(id)s AS bigint)) AS status OFFSET 0) AS r
LEFT JOIN {s}.job_executions AS e ON e.id = CAST(%(id)s AS bigint) AND r.status NOT IN ('PENDING', 'RUNNING', 'SKIPPED')
LEFT JOIN {s}.job_executions AS h ON h.unique_key = e.unique_key AND h.id <> e.id AND h.unique_key IS NOT NULL
    AND (h.unique_until = 'forever' OR (h.unique_until = 'finished' AND h.status IN ('PENDING', 'RUNNING'))
         OR (h.unique_until = 'started' AND h.status = 'PENDING' AND h.attempt = 0));


-- name: client_queue
-- No row: nothing names it.
SELECT json_build_object('name', v.queue, 'paused', v.paused, 'paused_reason', v.paused_reason, 'waiting', v.waiting, 'delayed', v.delayed,
                         'running', v.running, 'oldest_waiting_seconds', extract(epoch FROM v.oldest_waiting), 'workers', v.workers,
                         'per_minute', v.per_minute)::text
FROM {s}.job_queue_status AS v WHERE v.queue = %(name)s;


-- name: client_queue_names
SELECT {s}.job_queue_names();


-- name: client_limited_queues
SELECT q.name FROM {s}.job_queues AS q WHERE q.max_pending IS NOT NULL;


-- name: client_take_ids
-- Ids for rows to be copied in, and the time; nulls where the role may not choose ids: then enqueue_job() makes the rows.
-- Each by its own only where somebody else took some in between. OFFSET 0 keeps a name from being looked up for each id.
SELECT json_build_object(
    'now', extract(epoch FROM {s}.job_now()), 'first', t.ids[1],
    'ids', CASE WHEN t.ids[cardinality(t.ids)] - t.ids[1] + 1 <> cardinality(t.ids) THEN array_to_json(t.ids) END)::text
FROM (SELECT CASE WHEN has_sequence_privilege(s.sequence, 'USAGE') AND has_column_privilege(s.relation, 'id', 'INSERT')
                  THEN ARRAY(SELECT nextval(s.sequence) FROM generate_series(1, CAST(%(n)s AS integer))) END AS ids
      FROM (SELECT CAST(pg_get_serial_sequence(%(relation)s, 'id') AS regclass) AS sequence, CAST(%(relation)s AS text) AS relation OFFSET 0) AS s
      OFFSET 0) AS t;


-- name: client_enqueue
-- CAST, because SQLAlchemy, by which clients send this too, doesn't see a parameter before a double colon.
SELECT {s}.enqueue_job(
    %(handler_name)s, CAST(%(handler_params)s AS jsonb), queue => %(queue)s, priority => CAST(%(priority)s AS integer),
    delay_seconds => %(delay_seconds)s, available_at => %(available_at)s, timeout_seconds => %(timeout_seconds)s,
    max_retry => CAST(%(max_retry)s AS integer), unique_key => %(unique_key)s, unique_until => %(unique_until)s,
    concurrency_key => %(concurrency_key)s, concurrency_limit => CAST(%(concurrency_limit)s AS integer),
    on_conflict => %(on_conflict)s, notify_done => %(notify_done)s);


-- name: client_enqueue_plain
-- The same where nothing else is said: each parameter costs some microseconds on its way, a fifth of the statement in all.
SELECT {s}.enqueue_job(%(handler_name)s, CAST(%(handler_params)s AS jsonb), queue => %(queue)s);


-- name: client_enqueue_each
-- A row after the other, as enqueue_job() makes them; the ids in the order given, by one statement.
SELECT {s}.enqueue_job(
    j ->> 'handler_name', CAST(j ->> 'handler_params' AS jsonb), queue => j ->> 'queue', priority => CAST(j ->> 'priority' AS integer),
    delay_seconds => CAST(j ->> 'delay_seconds' AS double precision), available_at => CAST(j ->> 'available_at' AS timestamptz),
    timeout_seconds => CAST(j ->> 'timeout_seconds' AS double precision), max_retry => CAST(j ->> 'max_retry' AS integer),
    unique_key => j ->> 'unique_key', unique_until => j ->> 'unique_until', concurrency_key => j ->> 'concurrency_key',
    concurrency_limit => CAST(j ->> 'concurrency_limit' AS integer), on_conflict => j ->> 'on_conflict',
    notify_done => CAST(j ->> 'notify_done' AS boolean))
FROM json_array_elements(CAST(%(rows)s AS json)) WITH ORDINALITY AS r (j, place) ORDER BY r.place;


-- name: client_register
SELECT {s}.register_worker(%(name)s, CAST(%(queues)s AS text[]), CAST(%(pool_size)s AS integer), %(hostname)s, CAST(%(pid)s AS integer),
                           CAST(%(lease_seconds)s AS double precision), %(version)s)::text;


-- name: client_heartbeat
SELECT {s}.heartbeat_worker(CAST(%(worker)s AS uuid), CAST(%(lease_seconds)s AS double precision));


-- name: client_claim
SELECT json_build_object('id', c.id, 'token', c.claim_token, 'handler_name', c.handler_name, 'params', c.handler_params::text, 'attempt', c.attempt,
                         'timeout_seconds', c.timeout_seconds, 'scheduled_at', c.scheduled_at)::text
FROM {s}.claim_jobs(CAST(%(worker)s AS uuid), %(queue)s, CAST(%(n)s AS integer)) AS c;


-- name: client_complete
SELECT {s}.complete_job(CAST(%(id)s AS bigint), CAST(%(token)s AS uuid), CAST(%(result)s AS jsonb));


-- name: client_fail
SELECT {s}.fail_job(CAST(%(id)s AS bigint), CAST(%(token)s AS uuid), %(error)s);
