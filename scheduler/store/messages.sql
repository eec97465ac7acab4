-- What turns the messages of a broker into executions. `{s}` and the parameters are as in queries.sql.


-- name: message_room
-- How many more executions of a consumer may wait: up to its prefetch, and no more than the max_pending of their queue leaves. No row is
-- counted that doesn't matter; each order is that of an index, without which a LIMIT looks cheap in a whole table. Indexes: job_executions_of_key, job_executions_claim, job_executions_claim_keyed.
SELECT greatest(0, least(
    %(prefetch)s - (SELECT count(*) FROM (SELECT FROM {s}.job_executions AS e WHERE e.concurrency_key = %(key)s AND e.status = 'PENDING' ORDER BY e.source LIMIT %(prefetch)s) AS own),
    (SELECT q.max_pending - (SELECT count(*) FROM (
        (SELECT FROM {s}.job_executions AS e WHERE e.queue = q.name AND e.status = 'PENDING' AND e.concurrency_key IS NULL
         ORDER BY e.priority DESC, e.available_at LIMIT q.max_pending)
        UNION ALL
        (SELECT FROM {s}.job_executions AS e WHERE e.queue = q.name AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL
         ORDER BY e.priority DESC, e.available_at LIMIT q.max_pending)) AS waiting)
     FROM {s}.job_queues AS q WHERE q.name = %(queue)s AND q.max_pending IS NOT NULL)))::integer;


-- name: message_turn
-- Who writes messages of one source takes turns, to the end of the transaction, so that the next statement sees what the others wrote:
-- which messages are known, and how many executions wait.
SELECT pg_advisory_xact_lock(hashtextextended('scheduler messages ' || %(source)s::text, '{s}.job_messages'::regclass::oid::bigint));


-- name: take_messages
-- Messages, distinct by id, to executions, as many as there is room for, oldest first; of each: whether it is known by now. The ids of the
-- executions rise in the order of the messages, for they are drawn after the sort.
-- The look at job_messages is a scalar subquery, so that each id is one probe of the primary key whatever statistics say.
WITH given AS MATERIALIZED (
    SELECT g.id, g.params, g.place, (SELECT true FROM {s}.job_messages AS m WHERE m.source = %(source)s AND m.message_id = g.id) AS known
    FROM unnest(%(ids)s::text[], %(params)s::text[]) WITH ORDINALITY AS g (id, params, place)
), chosen AS MATERIALIZED (
    SELECT f.id, f.params, f.n FROM (SELECT g.id, g.params, row_number() OVER (ORDER BY g.place) AS n FROM given AS g WHERE g.known IS NULL) AS f
    WHERE f.n <= %(room)s
), made AS (
    INSERT INTO {s}.job_executions (source, handler_name, handler_params, queue, concurrency_key, concurrency_limit)
    SELECT 'message', %(handler)s, c.params::jsonb, %(queue)s, %(key)s, %(concurrency)s FROM chosen AS c ORDER BY c.n
    RETURNING id
), noted AS (
    INSERT INTO {s}.job_messages (source, message_id, execution_id)
    SELECT %(source)s, c.id, m.id FROM chosen AS c JOIN (SELECT made.id, row_number() OVER (ORDER BY made.id) AS n FROM made) AS m ON m.n = c.n
    RETURNING message_id
)
SELECT g.id, true FROM given AS g WHERE g.known
UNION ALL
SELECT n.message_id, false FROM noted AS n;


-- name: consumer_counts
-- What waits and runs of consumers now, each counted up to 10,000. Index: job_executions_of_key.
SELECT k.key,
       (SELECT count(*) FROM (SELECT FROM {s}.job_executions AS e WHERE e.concurrency_key = k.key AND e.status = 'PENDING' ORDER BY e.source LIMIT 10000) AS w) AS waiting,
       (SELECT count(*) FROM (SELECT FROM {s}.job_executions AS e WHERE e.concurrency_key = k.key AND e.status IN ('PENDING', 'RUNNING') AND e.status > 'PENDING' LIMIT 10000) AS r) AS running
FROM unnest(%(keys)s::text[]) AS k (key);
