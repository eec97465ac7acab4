-- Every statement that locks or changes rows on the line. `{s}` is the schema; %(names)s are bound parameters.
-- Each begins with its name, says why it is written so, and which index it uses. EXPLAIN is a test: tests/store/test_plans.py.


-- name: claim
-- PENDING and available -> RUNNING and ours, one queue, highest priority first, then oldest. Index: job_executions_claim.
-- * The 19 levels are probed from the top, each by equality, so a million delayed rows of a higher level cost one probe.
-- * available_at lies between a bound and (SELECT job_now()): a volatile function would be a filter, and without the bound
--   each claim walks over the dead entries of rows claimed before while some session holds back vacuum.
-- * ctid = ANY(ARRAY(SELECT ...)) has the same plan custom and generic; IN (SELECT ...) does not. A row's place is found without the
--   primary key, and locked it can't move. One that was edited while we locked it is left to the next claim.
-- * With no_keys nothing is taken while a row with a key waits in the queue: it may come first, and has a claim of its own.
-- * Nothing is taken unless the worker is ACTIVE and its lease valid; nor while the queue is paused, nor if it has a limit: whoever
--   doesn't know of that yet hears of it within a second, and then asks by claim_limited.
UPDATE {s}.job_executions AS e
SET status = 'RUNNING', attempt = least(e.attempt, 2147483646) + 1, claimed_by = %(worker)s, claim_token = %(token)s, started_at = {s}.job_now(),
    timeout_seconds = coalesce(e.timeout_seconds, (%(policies)s::jsonb -> e.handler_name ->> 'timeout_seconds')::double precision, 300),
    max_retry = coalesce(e.max_retry, (%(policies)s::jsonb -> e.handler_name ->> 'max_retry')::integer, 3),
    retry_backoff = coalesce(e.retry_backoff, %(policies)s::jsonb -> e.handler_name ->> 'retry_backoff', 'exponential'),
    retry_delay_seconds = coalesce(e.retry_delay_seconds, (%(policies)s::jsonb -> e.handler_name ->> 'retry_delay_seconds')::double precision, 2)
WHERE e.ctid = ANY(ARRAY(
    SELECT waiting.ctid
    FROM unnest(%(levels)s::smallint[], %(bounds)s::double precision[]) AS level (priority, bound)
    CROSS JOIN LATERAL (
        SELECT w.ctid
        FROM {s}.job_executions AS w
        WHERE w.queue = %(queue)s AND w.priority = level.priority AND w.status = 'PENDING' AND w.concurrency_key IS NULL
          AND w.available_at >= to_timestamp(level.bound) AND w.available_at <= (SELECT {s}.job_now())
        ORDER BY w.available_at, w.id
        LIMIT %(n)s
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE (SELECT true FROM {s}.job_workers AS j WHERE j.id = %(worker)s AND j.status = 'ACTIVE' AND j.heartbeat_at <= {s}.job_now() AND {s}.job_now() < j.lease_until)
      AND NOT EXISTS (SELECT FROM {s}.job_queues AS q WHERE q.name = %(queue)s
                        AND (coalesce(q.max_running, q.key_limit, q.rate_limit) IS NOT NULL OR q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now())))
      AND NOT (%(no_keys)s AND EXISTS (SELECT FROM {s}.job_executions AS k WHERE k.queue = %(queue)s AND k.status = 'PENDING' AND k.concurrency_key IS NOT NULL))
    LIMIT %(n)s
))
RETURNING e.id, e.handler_name, e.handler_params::text, e.priority, date_part('epoch', e.available_at),
          date_part('epoch', e.scheduled_at), e.attempt, e.timeout_seconds, e.retry_count, e.max_retry, e.retry_backoff,
          e.retry_delay_seconds, e.cron_job_id, e.concurrency_key, e.suspect;


-- name: any_keyed
-- Whether a keyed claim could find anything: most queues have no keys, and this is a tenth of its first half. Index: job_executions_claim_keyed.
SELECT true FROM {s}.job_executions AS w WHERE w.queue = %(queue)s AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL LIMIT 1;


-- name: lock_keyed
-- First half of a keyed claim: rows whose key seems to have room, locked together with their keys. Index: job_executions_claim_keyed;
-- the count probes job_executions_of_key. A key that another claim is looking at is left to it; claim_jobs() takes the same lock.
-- Rows below the best waiting unkeyed level are left for later, so that priority holds between keyed and unkeyed rows of a queue.
-- * Of the rows in job_executions_of_key, those above PENDING are RUNNING. Written as an equality, they would be looked up once a
--   row in the partial index of running rows, which statistics from an idle hour believe to be empty: n * n.
-- * They are counted once a key, at the first of its rows: a thousand rows may wait behind a key of which a thousand run.
-- * The walk ends at the 500th row that is not taken: behind a full key there may be half a million (a backfill), which
--   lock_keyed_behind leaps over.
SELECT c.id, c.concurrency_key, c.at_once
FROM (
    SELECT e.id, e.concurrency_key, coalesce(e.concurrency_limit, 1) AS at_once, e.tableoid
    FROM (
        SELECT k.id, k.priority, k.available_at
        FROM (
            SELECT t.*, max(CASE t.turn WHEN 1 THEN (
                    SELECT count(*) FROM {s}.job_executions AS r
                    WHERE r.concurrency_key = t.concurrency_key AND r.status IN ('PENDING', 'RUNNING') AND r.status > 'PENDING') END)
                OVER (PARTITION BY t.concurrency_key COLLATE "C") AS running
            FROM (
                SELECT h.*, row_number() OVER (PARTITION BY h.concurrency_key COLLATE "C") AS turn
                FROM (
                    SELECT w.id, w.priority, w.available_at, w.concurrency_key, w.concurrency_limit
                    FROM {s}.job_executions AS w
                    WHERE w.queue = %(queue)s AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL AND w.available_at <= (SELECT {s}.job_now())
                      AND w.priority >= coalesce((
                          SELECT level.priority
                          FROM unnest(%(levels)s::smallint[], %(bounds)s::double precision[]) AS level (priority, bound)
                          CROSS JOIN LATERAL (
                              SELECT FROM {s}.job_executions AS u
                              WHERE u.queue = %(queue)s AND u.priority = level.priority AND u.status = 'PENDING' AND u.concurrency_key IS NULL
                                AND u.available_at >= to_timestamp(level.bound) AND u.available_at <= (SELECT {s}.job_now())
                              LIMIT 1
                          ) AS waiting
                          LIMIT 1), -9)
                    ORDER BY w.priority DESC, w.available_at, w.id
                    LIMIT %(n)s + 500
                ) AS h
            ) AS t
        ) AS k
        WHERE coalesce(k.concurrency_limit, 1) > k.running
        ORDER BY k.priority DESC, k.available_at, k.id
    ) AS head JOIN {s}.job_executions AS e ON e.id = head.id
    WHERE e.status = 'PENDING'
    ORDER BY head.priority DESC, head.available_at, head.id
    LIMIT %(n)s
    FOR UPDATE OF e SKIP LOCKED
) AS c
WHERE pg_try_advisory_xact_lock(hashtextextended(c.concurrency_key, c.tableoid::bigint));


-- name: lock_keyed_behind
-- The same where all of the first rows belong to full keys: a leap from key to key, and of each the rows that came first. The cost is
-- that of the keys that wait, however many rows each has. Index: job_executions_of_key, also for the rows of a key: BETWEEN gives the
-- order a meaning that an equality takes from it, and the queue is spelled so that job_executions_claim_keyed can't find it. The limit
-- names busy so that it comes first: what runs is counted once a key, not once a row of it.
WITH RECURSIVE keys AS (
    SELECT (SELECT min(e.concurrency_key) FROM {s}.job_executions AS e WHERE e.concurrency_key IS NOT NULL AND e.status IN ('PENDING', 'RUNNING')) AS key
    WHERE (SELECT true FROM {s}.job_executions AS w
           WHERE w.queue = %(queue)s AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL AND w.available_at <= (SELECT {s}.job_now())
           ORDER BY w.priority DESC, w.available_at, w.id OFFSET %(n)s + 499 LIMIT 1)
    UNION ALL
    SELECT (SELECT min(e.concurrency_key) FROM {s}.job_executions AS e WHERE e.concurrency_key > k.key AND e.status IN ('PENDING', 'RUNNING'))
    FROM keys AS k WHERE k.key IS NOT NULL
)
SELECT c.id, c.concurrency_key, c.at_once
FROM (
    SELECT e.id, e.concurrency_key, coalesce(e.concurrency_limit, 1) AS at_once, e.tableoid
    FROM keys AS k
    CROSS JOIN LATERAL (
        SELECT count(*) AS running FROM {s}.job_executions AS r
        WHERE r.concurrency_key = k.key AND r.status IN ('PENDING', 'RUNNING') AND r.status > 'PENDING'
    ) AS busy
    CROSS JOIN LATERAL (
        SELECT w.id, w.priority, w.available_at, w.concurrency_limit
        FROM {s}.job_executions AS w
        WHERE w.concurrency_key BETWEEN k.key AND k.key AND w.status = 'PENDING' AND w.queue || '' = %(queue)s AND w.available_at <= (SELECT {s}.job_now())
          AND w.priority >= coalesce((
              SELECT level.priority
              FROM unnest(%(levels)s::smallint[], %(bounds)s::double precision[]) AS level (priority, bound)
              CROSS JOIN LATERAL (
                  SELECT FROM {s}.job_executions AS u
                  WHERE u.queue = %(queue)s AND u.priority = level.priority AND u.status = 'PENDING' AND u.concurrency_key IS NULL
                    AND u.available_at >= to_timestamp(level.bound) AND u.available_at <= (SELECT {s}.job_now())
                  LIMIT 1
              ) AS waiting
              LIMIT 1), -9)
        ORDER BY w.concurrency_key
        LIMIT %(n)s + 0 * busy.running
    ) AS first JOIN {s}.job_executions AS e ON e.id = first.id
    WHERE busy.running < coalesce(first.concurrency_limit, 1) AND e.status = 'PENDING'
    ORDER BY first.priority DESC, first.available_at, first.id
    LIMIT %(n)s
    FOR UPDATE OF e SKIP LOCKED
) AS c
WHERE pg_try_advisory_xact_lock(hashtextextended(c.concurrency_key, c.tableoid::bigint));


-- name: claim_keyed
-- Second half, in the same transaction and a new snapshot: with the keys locked, what runs under each is counted exactly.
UPDATE {s}.job_executions AS e
SET status = 'RUNNING', attempt = least(e.attempt, 2147483646) + 1, claimed_by = %(worker)s, claim_token = %(token)s, started_at = {s}.job_now(),
    timeout_seconds = coalesce(e.timeout_seconds, (%(policies)s::jsonb -> e.handler_name ->> 'timeout_seconds')::double precision, 300),
    max_retry = coalesce(e.max_retry, (%(policies)s::jsonb -> e.handler_name ->> 'max_retry')::integer, 3),
    retry_backoff = coalesce(e.retry_backoff, %(policies)s::jsonb -> e.handler_name ->> 'retry_backoff', 'exponential'),
    retry_delay_seconds = coalesce(e.retry_delay_seconds, (%(policies)s::jsonb -> e.handler_name ->> 'retry_delay_seconds')::double precision, 2)
WHERE e.id = ANY(ARRAY(
    SELECT c.id
    FROM (SELECT k.id, k.key, k.at_once, row_number() OVER (PARTITION BY k.key ORDER BY k.place) AS turn
          FROM unnest(%(ids)s::bigint[], %(keys)s::text[], %(limits)s::integer[]) WITH ORDINALITY AS k (id, key, at_once, place)) AS c
    WHERE c.turn <= c.at_once - (SELECT count(*) FROM {s}.job_executions AS r
                                 WHERE r.concurrency_key = c.key AND r.status IN ('PENDING', 'RUNNING') AND r.status > 'PENDING')
      AND (SELECT true FROM {s}.job_workers AS j WHERE j.id = %(worker)s AND j.status = 'ACTIVE' AND j.heartbeat_at <= {s}.job_now() AND {s}.job_now() < j.lease_until)
      AND NOT EXISTS (SELECT FROM {s}.job_queues AS q WHERE q.name = %(queue)s
                        AND (coalesce(q.max_running, q.key_limit, q.rate_limit) IS NOT NULL OR q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now())))
))
RETURNING e.id, e.handler_name, e.handler_params::text, e.priority, date_part('epoch', e.available_at),
          date_part('epoch', e.scheduled_at), e.attempt, e.timeout_seconds, e.retry_count, e.max_retry, e.retry_backoff,
          e.retry_delay_seconds, e.cron_job_id, e.concurrency_key, e.suspect;


-- name: claim_limited
-- The same from a queue with limits: locked, counted and claimed within one statement, whose parts each see what is committed by then. So
-- that no process can stop between them, and its lock with it. See job_claim() in migrations/sql.
SELECT e.id, e.handler_name, e.handler_params::text, e.priority, date_part('epoch', e.available_at),
       date_part('epoch', e.scheduled_at), e.attempt, e.timeout_seconds, e.retry_count, e.max_retry, e.retry_backoff,
       e.retry_delay_seconds, e.cron_job_id, e.concurrency_key, e.suspect
FROM {s}.job_claim(%(worker)s, %(token)s, %(queue)s, %(n)s, %(bounds)s::double precision[], %(policies)s::jsonb) AS e;


-- name: limited_queues
-- Which of a worker's queues have limits of any kind. Asked beside the claims, not before them: see the statement claim.
SELECT q.name, coalesce(q.max_running, q.key_limit, q.rate_limit) IS NOT NULL, q.pause_after_failures
FROM {s}.job_queues AS q
WHERE q.name = ANY(%(queues)s::text[]) AND coalesce(q.max_running, q.key_limit, q.rate_limit, q.pause_after_failures) IS NOT NULL;


-- name: pause_failing
-- A queue that has failed too often in a row pauses itself; one that is paused already keeps its reason and its end.
UPDATE {s}.job_queues AS q
SET paused = true, resume_at = {s}.job_now() + make_interval(secs => q.pause_seconds),
    paused_reason = %(failures)s::text || ' failures in a row at worker ' || coalesce((SELECT j.name FROM {s}.job_workers AS j WHERE j.id = %(worker)s), '?')
WHERE q.name = %(queue)s AND q.pause_after_failures <= %(failures)s AND NOT (q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now()))
RETURNING q.pause_seconds;


-- name: held_up
-- Seconds until one of these queues may be claimed from again, in which something waits that its limits hold up; infinity where that
-- takes the end of something running. NULL: limits hold up nothing. Index: job_executions_claim, _claim_keyed, _of_worker.
SELECT min(greatest(0, coalesce(extract(epoch FROM held.until - {s}.job_now())::double precision, 'infinity')))
FROM (
    SELECT q.name, CASE WHEN q.rate_limit IS NOT NULL AND q.rate_next_at > {s}.job_now() THEN q.rate_next_at END AS until
    FROM {s}.job_queues AS q
    WHERE q.name = ANY(%(queues)s::text[]) AND NOT (q.paused AND (q.resume_at IS NULL OR q.resume_at > {s}.job_now()))
      AND (q.rate_limit IS NOT NULL AND q.rate_next_at > {s}.job_now()
           OR q.max_running <= (SELECT count(*) FROM {s}.job_executions AS r WHERE r.queue = q.name AND r.status = 'RUNNING'))
) AS held
WHERE EXISTS (
    SELECT FROM unnest(%(levels)s::smallint[]) AS level (priority)
    CROSS JOIN LATERAL (
        (SELECT FROM {s}.job_executions AS w
         WHERE w.queue = held.name AND w.priority = level.priority AND w.status = 'PENDING' AND w.concurrency_key IS NULL
           AND w.available_at <= (SELECT {s}.job_now()) LIMIT 1)
        UNION ALL
        (SELECT FROM {s}.job_executions AS w
         WHERE w.queue = held.name AND w.priority = level.priority AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL
           AND w.available_at <= (SELECT {s}.job_now()) LIMIT 1)
    ) AS waiting);


-- name: aging_queues
-- Queues whose rows age, which nobody has looked at for a tenth of that time (a minute, if that is less): from when to when rows have to
-- have waited long enough. With a clock that was set back, from now on.
SELECT q.name, q.aging_seconds, extract(epoch FROM least(coalesce(q.aged_until, to_timestamp(0)), n.now))::double precision, extract(epoch FROM n.now)::double precision
FROM {s}.job_queues AS q CROSS JOIN (SELECT {s}.job_now() AS now) AS n
WHERE q.aging_seconds IS NOT NULL
  AND coalesce(q.aged_until NOT BETWEEN n.now - make_interval(secs => least(q.aging_seconds / 10, 60)) AND n.now, true)
ORDER BY q.name;


-- name: lift
-- Up to n rows of a level go up, which have waited for one more aging_seconds between two moments. Index: job_executions_claim, _claim_keyed.
-- * Only what came 1, 2, ... or 18 times aging_seconds before is read: neither what came since, nor what has waited for longer.
-- * `lifted` tells what a row has been lifted for: whoever does it again, after a crash or at the same time, does nothing.
-- * A row that somebody holds is left to them; if it waits on, it goes up by two levels next time. Claims find what was lifted below their
--   bounds at their next full look.
UPDATE {s}.job_executions AS e
SET priority = least(9, e.priority + waited.times - coalesce(e.lifted, 0)), lifted = waited.times
FROM generate_series(1, 18) AS waited (times)
WHERE e.id = ANY(ARRAY(
    SELECT waiting.id
    FROM generate_series(18, 1, -1) AS step (times)
    CROSS JOIN LATERAL (
        SELECT * FROM (
            SELECT w.id FROM {s}.job_executions AS w
            WHERE w.queue = %(queue)s AND w.priority = %(level)s AND w.status = 'PENDING' AND w.concurrency_key IS NULL
              AND w.available_at > to_timestamp(%(since)s - step.times * %(aging)s) AND w.available_at <= to_timestamp(%(until)s - step.times * %(aging)s)
              AND coalesce(w.lifted, 0) < step.times
            ORDER BY w.available_at, w.id
            LIMIT %(n)s
            FOR UPDATE SKIP LOCKED
        ) AS plain
        UNION ALL
        SELECT * FROM (
            SELECT w.id FROM {s}.job_executions AS w
            WHERE w.queue = %(queue)s AND w.priority = %(level)s AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL
              AND w.available_at > to_timestamp(%(since)s - step.times * %(aging)s) AND w.available_at <= to_timestamp(%(until)s - step.times * %(aging)s)
              AND coalesce(w.lifted, 0) < step.times
            ORDER BY w.available_at, w.id
            LIMIT %(n)s
            FOR UPDATE SKIP LOCKED
        ) AS keyed
    ) AS waiting
    LIMIT %(n)s
))
  AND waited.times = greatest(coalesce(e.lifted, 0) + 1, least(18, floor((%(until)s - extract(epoch FROM e.available_at)::double precision) / %(aging)s)))
RETURNING e.id;


-- name: aged
UPDATE {s}.job_queues SET aged_until = to_timestamp(%(until)s) WHERE name = %(queue)s AND aging_seconds = %(aging)s;


-- name: find_claimed
-- After a claim whose answer never came: what it took, if it took anything. Index: job_executions_of_worker.
SELECT e.id, e.handler_name, e.handler_params::text, e.priority, date_part('epoch', e.available_at),
       date_part('epoch', e.scheduled_at), e.attempt, e.timeout_seconds, e.retry_count, e.max_retry, e.retry_backoff,
       e.retry_delay_seconds, e.cron_job_id, e.concurrency_key, e.suspect, e.claim_token
FROM {s}.job_executions AS e
WHERE e.claimed_by = %(worker)s AND e.status = 'RUNNING' AND e.claim_token = ANY(%(tokens)s::uuid[]);


-- name: next_available
-- Seconds until the next row of these queues becomes available; NULL when none waits. What became so since the last look counts
-- as well, as zero or less. Index: job_executions_claim, _claim_keyed.
SELECT extract(epoch FROM min(soonest.available_at) - {s}.job_now())::double precision
FROM unnest(%(queues)s::text[]) AS q (name)
CROSS JOIN unnest(%(levels)s::smallint[]) AS level (priority)
CROSS JOIN LATERAL (
    (SELECT w.available_at FROM {s}.job_executions AS w
     WHERE w.queue = q.name AND w.priority = level.priority AND w.status = 'PENDING' AND w.concurrency_key IS NULL
       AND w.available_at > (SELECT {s}.job_now() - make_interval(secs => %(since)s))
     ORDER BY w.available_at LIMIT 1)
    UNION ALL
    (SELECT w.available_at FROM {s}.job_executions AS w
     WHERE w.queue = q.name AND w.priority = level.priority AND w.status = 'PENDING' AND w.concurrency_key IS NOT NULL
       AND w.available_at > (SELECT {s}.job_now() - make_interval(secs => %(since)s))
     ORDER BY w.available_at LIMIT 1)
) AS soonest;


-- name: settle_success
-- The fence: nothing is written unless the row is still RUNNING under the token of this claim. Index: the primary key.
-- `expected` (OFFSET 0 keeps it from being folded into a constant) hides the partial index of running rows from the planner: with
-- statistics from an idle hour it believes that index to be empty, scans it once per outcome, and a batch of n costs n * n.
-- Which of the batch were written is told by their places in it, the shortest answer that leaves no doubt.
-- (SELECT array) hides the length of the batch, so that a long one is not read out of the whole table: the plan stays the same.
UPDATE {s}.job_executions AS e
SET status = 'SUCCESS', finished_at = {s}.job_now(), started_at = {s}.job_now() - make_interval(secs => o.seconds),
    result = o.result::jsonb, error = NULL, suspect = false
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(claims)s::bigint[]), (SELECT %(seconds)s::double precision[]), (SELECT %(results)s::text[]))
     WITH ORDINALITY AS o (id, claim, seconds, result, place)
     CROSS JOIN (SELECT 'RUNNING' AS status OFFSET 0) AS expected
WHERE e.id = o.id AND e.claim_token = (SELECT %(tokens)s::uuid[])[o.claim] AND e.status = expected.status
RETURNING o.place;


-- name: settle_other
-- Every outcome but success, decided in Python (rules/outcome.py); a cancel that was asked for meanwhile wins over all of them.
UPDATE {s}.job_executions AS e
SET status = CASE WHEN e.cancel_requested_at IS NULL THEN o.status ELSE 'CANCELLED' END,
    retry_count = o.retry_count, suspect = o.suspect,
    error = CASE WHEN e.cancel_requested_at IS NULL THEN coalesce(o.error, e.error) ELSE coalesce(e.cancel_reason, 'cancelled by request') END,
    errors = CASE WHEN o.entry IS NULL THEN e.errors
                  ELSE {s}.job_errors_with(e.errors, jsonb_build_object('attempt', e.attempt, 'at', {s}.job_now(), 'worker', e.claimed_by) || o.entry::jsonb) END,
    started_at = CASE WHEN o.seconds IS NULL THEN e.started_at ELSE {s}.job_now() - make_interval(secs => o.seconds) END,
    finished_at = CASE WHEN e.cancel_requested_at IS NULL AND o.status = 'PENDING' THEN NULL ELSE {s}.job_now() END,
    available_at = CASE WHEN e.cancel_requested_at IS NULL AND o.status = 'PENDING'
                        THEN greatest(e.available_at, {s}.job_now() + make_interval(secs => o.delay)) ELSE e.available_at END,
    claim_token = CASE WHEN e.cancel_requested_at IS NULL AND o.status = 'PENDING' THEN NULL ELSE e.claim_token END,
    claimed_by = CASE WHEN e.cancel_requested_at IS NULL AND o.status = 'PENDING' THEN NULL ELSE e.claimed_by END
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::uuid[]), (SELECT %(statuses)s::text[]), (SELECT %(retry_counts)s::integer[]), (SELECT %(delays)s::double precision[]),
            (SELECT %(suspects)s::boolean[]), (SELECT %(seconds)s::double precision[]), (SELECT %(errors)s::text[]), (SELECT %(entries)s::text[]))
     WITH ORDINALITY AS o (id, token, status, retry_count, delay, suspect, seconds, error, entry, place)
     CROSS JOIN (SELECT 'RUNNING' AS status OFFSET 0) AS expected
WHERE e.id = o.id AND e.claim_token = o.token AND e.status = expected.status
RETURNING o.place, e.status;


-- name: read_claims
-- After a settle that changed fewer rows than it named, or whose answer never came: what do the rows say?
SELECT e.id, e.status, e.claim_token, e.attempt FROM {s}.job_executions AS e WHERE e.id = ANY(%(ids)s::bigint[]);


-- name: hold_back
-- An attempt that would not stop still runs though its timeout is recorded: its next try must not begin beside it.
-- Fenced by the attempt, for a PENDING row holds no token.
UPDATE {s}.job_executions AS e
SET available_at = greatest(e.available_at, {s}.job_now() + make_interval(secs => o.delay))
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(attempts)s::integer[]), (SELECT %(delays)s::double precision[])) AS o (id, attempt, delay)
WHERE e.id = o.id AND e.attempt = o.attempt AND e.status = 'PENDING';


-- name: let_go
-- The attempt that would not stop has ended: its next try may begin once its own backoff is over.
UPDATE {s}.job_executions AS e
SET available_at = {s}.job_now() + make_interval(secs => %(delay)s)
WHERE e.id = %(id)s AND e.attempt = %(attempt)s AND e.status = 'PENDING';


-- name: cancels_asked
-- Which of a worker's running executions somebody asked to stop. Asked twice a second, so that a reason of a megabyte must not
-- travel whole. Index: job_executions_of_worker.
SELECT e.id, e.claim_token, left(coalesce(e.cancel_reason, 'cancelled by request'), 1000) FROM {s}.job_executions AS e
WHERE e.claimed_by = %(worker)s AND e.status = 'RUNNING' AND e.cancel_requested_at IS NOT NULL;


-- name: write_progress
UPDATE {s}.job_executions AS e SET progress = o.progress, progress_message = o.message
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::uuid[]), (SELECT %(progresses)s::double precision[]), (SELECT %(messages)s::text[])) AS o (id, token, progress, message)
     CROSS JOIN (SELECT 'RUNNING' AS status OFFSET 0) AS expected
WHERE e.id = o.id AND e.claim_token = o.token AND e.status = expected.status;


-- name: held
-- What the database believes a worker to be running. Index: job_executions_of_worker.
SELECT e.id, e.claim_token FROM {s}.job_executions AS e WHERE e.claimed_by = %(worker)s AND e.status = 'RUNNING';


-- name: release
-- Hand rows back without using up a try: a worker's own strangers, and what it claimed but did not begin.
UPDATE {s}.job_executions AS e
SET status = CASE WHEN e.cancel_requested_at IS NULL THEN 'PENDING' ELSE 'CANCELLED' END,
    finished_at = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE {s}.job_now() END,
    error = CASE WHEN e.cancel_requested_at IS NULL THEN e.error ELSE coalesce(e.cancel_reason, 'cancelled by request') END,
    available_at = greatest(e.available_at, {s}.job_now()),
    claim_token = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claim_token END,
    claimed_by = CASE WHEN e.cancel_requested_at IS NULL THEN NULL ELSE e.claimed_by END
FROM unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::uuid[])) AS o (id, token)
     CROSS JOIN (SELECT 'RUNNING' AS status OFFSET 0) AS expected
WHERE e.id = o.id AND e.claim_token = o.token AND e.status = expected.status
RETURNING e.id;


-- name: rescue
-- RUNNING rows whose worker is gone go back, counted as a failed attempt. Index: job_executions_of_worker.
-- A worker marked LOST or STOPPED never changes again, so a row found here can't be renewed behind our back; the row lock and
-- the re-check under it stand against a settle at the same moment. The worker is asked for in a scalar subquery, because the
-- re-check runs that again for whoever claimed the row meanwhile; for the anti-join of a NOT EXISTS it would find no worker at all.
UPDATE {s}.job_executions AS e
SET status = CASE WHEN e.cancel_requested_at IS NOT NULL THEN 'CANCELLED' WHEN e.retry_count < e.max_retry - 1 THEN 'PENDING' ELSE 'FAILED' END,
    retry_count = least(e.retry_count, 2147483646) + 1, suspect = true,
    error = CASE WHEN e.cancel_requested_at IS NULL THEN 'worker lost, may not have started' ELSE coalesce(e.cancel_reason, 'cancelled by request') END,
    errors = {s}.job_errors_with(e.errors, jsonb_build_object('attempt', e.attempt, 'outcome', 'lost', 'at', {s}.job_now(), 'worker', e.claimed_by,
                                                              'error', 'worker lost, may not have started')),
    finished_at = CASE WHEN e.cancel_requested_at IS NULL AND e.retry_count < e.max_retry - 1 THEN NULL ELSE {s}.job_now() END,
    available_at = greatest(e.available_at, {s}.job_now()),
    claim_token = CASE WHEN e.cancel_requested_at IS NULL AND e.retry_count < e.max_retry - 1 THEN NULL ELSE e.claim_token END,
    claimed_by = CASE WHEN e.cancel_requested_at IS NULL AND e.retry_count < e.max_retry - 1 THEN NULL ELSE e.claimed_by END
WHERE e.id = ANY(ARRAY(
    SELECT r.id FROM {s}.job_executions AS r
    WHERE r.status = 'RUNNING'
      AND NOT coalesce((SELECT j.status IN ('ACTIVE', 'DRAINING') FROM {s}.job_workers AS j WHERE j.id = r.claimed_by), false)
    ORDER BY r.id
    LIMIT %(n)s
    FOR UPDATE SKIP LOCKED
))
RETURNING e.id, e.status;


-- name: mark_lost
-- Workers whose lease ran out. A heartbeat at the same moment holds the row lock, and the condition is checked again under it.
-- A clock that was set back by less than the rescuer notices makes nobody look dead.
UPDATE {s}.job_workers
SET status = 'LOST'
WHERE status IN ('ACTIVE', 'DRAINING') AND NOT (heartbeat_at <= {s}.job_now() + interval '2 s' AND {s}.job_now() < lease_until)
RETURNING id, name;


-- name: register
INSERT INTO {s}.job_workers (id, name, hostname, pid, queues, pool_size, lease_until, version)
VALUES (%(id)s, %(name)s, %(hostname)s, %(pid)s, %(queues)s, %(pool_size)s, {s}.job_now() + make_interval(secs => %(lease)s), %(version)s);


-- name: heartbeat
-- Renews the lease of a worker that nobody has marked LOST. No row: it is lost, and stays so.
UPDATE {s}.job_workers
SET heartbeat_at = {s}.job_now(), lease_until = {s}.job_now() + make_interval(secs => %(lease)s), status = %(status)s,
    running_count = %(running)s, succeeded_count = %(succeeded)s, failed_count = %(failed)s, loops = %(loops)s
WHERE id = %(id)s AND status IN ('ACTIVE', 'DRAINING')
RETURNING extract(epoch FROM heartbeat_at)::double precision;


-- name: leave
-- The worker's last word: it holds nothing any more (STOPPED), or what it held is for the rescuer (LOST).
UPDATE {s}.job_workers
SET status = %(status)s, running_count = 0, succeeded_count = %(succeeded)s, failed_count = %(failed)s, heartbeat_at = {s}.job_now()
WHERE id = %(id)s AND status IN ('ACTIVE', 'DRAINING');


-- name: stay_awake
-- "Notify me": holds for a second, renewed while idle. See the trigger job_executions_wake.
UPDATE {s}.job_workers SET wake_until = {s}.job_now() + interval '1 s' WHERE id = %(id)s;


-- name: lock_due
-- Cron jobs to plan now, each by one planner. Index: cron_jobs_plan, twice: with an OR of both conditions it would be read as a whole.
-- The locking subqueries hand out the columns themselves, as they are under the lock.
-- Times come as Unix seconds: a date that Python can't hold must not hide the other rows. Nor must a text of a megabyte weigh on them.
SELECT c.id, c.name, left(c.cron_expression, 201), left(c.timezone, 100), c.overlap_policy, c.catch_up, c.catch_up_limit, c.jitter_seconds,
       extract(epoch FROM c.starts_at)::double precision, extract(epoch FROM c.ends_at)::double precision,
       extract(epoch FROM c.planned_until)::double precision,
       CASE WHEN c.planned_until > {s}.job_now() THEN (
           SELECT extract(epoch FROM max(e.skipped_until))::double precision FROM {s}.job_executions AS e
           WHERE e.cron_job_id = c.id AND e.status = 'SKIPPED' AND e.skipped_until > {s}.job_now()) END,
       extract(epoch FROM c.created_at)::double precision, c.unplanned::text
FROM (
    SELECT * FROM (
        SELECT u.* FROM {s}.cron_jobs AS u
        WHERE u.enabled AND u.invalid_reason IS NULL AND u.next_run_at IS NULL
        LIMIT %(n)s
        FOR UPDATE SKIP LOCKED
    ) AS unplanned
    UNION ALL
    SELECT * FROM (
        SELECT d.* FROM {s}.cron_jobs AS d
        WHERE d.enabled AND d.invalid_reason IS NULL AND d.next_run_at <= (SELECT {s}.job_now())
        ORDER BY d.next_run_at
        LIMIT %(n)s
        FOR UPDATE SKIP LOCKED
    ) AS due
) AS c
LIMIT %(n)s;


-- name: resume_ended
-- Cron jobs whose pause was to end by now: the trigger cron_jobs_edited ends it with any write, so that a planner needs no right to
-- resume what others have paused. Index: cron_jobs_resume.
UPDATE {s}.cron_jobs AS c SET next_run_at = NULL
WHERE c.id = ANY(ARRAY(
    SELECT p.id FROM {s}.cron_jobs AS p WHERE p.resume_at <= (SELECT {s}.job_now()) ORDER BY p.resume_at LIMIT %(n)s FOR UPDATE SKIP LOCKED
))
RETURNING c.name;


-- name: unfinished
-- What isn't final of these keys: how many wait and run, each counted up to 10,000, and the oldest running (or waiting) one.
-- A backfill is in no tick's way: the tick waits for the one that runs, and goes before those that wait. However many of its rows
-- wait under the key, they are leapt over: 'backfill' is the first of the sources, the others are above it. Index: job_executions_of_key.
SELECT k.key, waiting.count, running.count, coalesce(running.first, waiting.first)
FROM unnest(%(keys)s::text[]) AS k (key)
CROSS JOIN LATERAL (
    SELECT count(*), min(w.id) AS first FROM (
        SELECT e.id FROM {s}.job_executions AS e
        WHERE e.concurrency_key = k.key AND e.status = 'PENDING' AND e.source > 'backfill'
        ORDER BY e.source LIMIT 10000) AS w
) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*), min(r.id) AS first FROM (
        SELECT e.id FROM {s}.job_executions AS e
        WHERE e.concurrency_key = k.key AND e.status IN ('PENDING', 'RUNNING') AND e.status > 'PENDING' AND e.source > 'backfill'
        LIMIT 10000) AS r
) AS running
WHERE waiting.count + running.count > 0;


-- name: insert_ticks
-- A tick happens once, whoever plans it: job_executions_tick is unique, but for what was started by hand. The cron job's row is locked by this transaction, so that
-- what is read of it here is what the tick was computed from.
INSERT INTO {s}.job_executions (source, cron_job_id, handler_name, handler_params, queue, priority, scheduled_at, available_at,
                                timeout_seconds, max_retry, retry_backoff, retry_delay_seconds, concurrency_key, concurrency_limit)
SELECT 'tick', c.id, c.handler_name, c.handler_params, c.queue, c.priority, t.scheduled_at, t.available_at,
       c.timeout_seconds, c.max_retry, c.retry_backoff, c.retry_delay_seconds, t.concurrency_key, CASE WHEN t.concurrency_key IS NOT NULL THEN 1 END
FROM unnest(%(cron_job_ids)s::bigint[], %(scheduled_ats)s::timestamptz[], %(available_ats)s::timestamptz[], %(concurrency_keys)s::text[])
     AS t (cron_job_id, scheduled_at, available_at, concurrency_key)
     JOIN {s}.cron_jobs AS c ON c.id = t.cron_job_id
ORDER BY t.scheduled_at, c.id
ON CONFLICT (cron_job_id, scheduled_at, (CASE source WHEN 'manual' THEN id ELSE 0 END)) WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED' DO NOTHING
RETURNING cron_job_id, scheduled_at, id;


-- name: insert_skipped
-- Ticks that don't run, and why: one row for a span of them.
INSERT INTO {s}.job_executions (source, cron_job_id, handler_name, handler_params, queue, priority, status, scheduled_at, available_at, finished_at,
                                skipped_count, skipped_until, error)
SELECT 'tick', c.id, c.handler_name, c.handler_params, c.queue, c.priority, 'SKIPPED', t.first, t.first, {s}.job_now(), t.count, t.last, t.reason
FROM unnest(%(cron_job_ids)s::bigint[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[], %(counts)s::integer[], %(reasons)s::text[])
     AS t (cron_job_id, first, last, count, reason)
     JOIN {s}.cron_jobs AS c ON c.id = t.cron_job_id;


-- name: advance
-- Moves the planning cursor, in the transaction that wrote what it passes over. planned_until always moves, if only by less than
-- any two ticks are apart: that is how the trigger cron_jobs_edited tells this write from one by hand.
UPDATE {s}.cron_jobs AS c
SET next_run_at = coalesce(p.next_run_at, 'infinity'), planned_until = p.planned_until + CASE WHEN p.planned_until = c.planned_until THEN interval '1 us' ELSE interval '0' END,
    last_run_at = coalesce(p.last_run_at, c.last_run_at), tzdata_version = %(tzdata_version)s, unplanned = NULL
FROM unnest(%(ids)s::bigint[], %(next_run_ats)s::timestamptz[], %(planned_untils)s::timestamptz[], %(last_run_ats)s::timestamptz[])
     AS p (id, next_run_at, planned_until, last_run_at)
WHERE c.id = p.id;


-- name: refuse
UPDATE {s}.cron_jobs SET invalid_reason = %(reason)s, next_run_at = NULL, unplanned = NULL WHERE id = %(id)s;


-- name: replace_unfinished
-- overlap_policy 'replace': waiting ones are cancelled, the running one is asked to stop. Index: job_executions_of_key.
UPDATE {s}.job_executions AS e
SET status = CASE e.status WHEN 'PENDING' THEN 'CANCELLED' ELSE e.status END,
    finished_at = CASE e.status WHEN 'PENDING' THEN {s}.job_now() END,
    error = CASE e.status WHEN 'PENDING' THEN 'replaced by the next tick' ELSE e.error END,
    cancel_requested_at = coalesce(e.cancel_requested_at, {s}.job_now()), cancel_reason = coalesce(e.cancel_reason, 'replaced by the next tick')
WHERE e.concurrency_key = ANY(%(keys)s::text[]) AND e.status IN ('PENDING', 'RUNNING') AND e.source > 'backfill'
RETURNING e.id;


-- name: next_tick
-- Seconds until the next cron job is due, or resumes; NULL when none does. Index: cron_jobs_plan, cron_jobs_resume.
SELECT extract(epoch FROM least(
    (SELECT min(c.next_run_at) FROM {s}.cron_jobs AS c WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < 'infinity'),
    (SELECT min(p.resume_at) FROM {s}.cron_jobs AS p WHERE p.resume_at < 'infinity')
) - {s}.job_now())::double precision;


-- name: recompute_zones
-- Ticks computed with other time zone data are computed anew.
UPDATE {s}.cron_jobs SET next_run_at = NULL, tzdata_version = NULL
WHERE enabled AND invalid_reason IS NULL AND next_run_at IS NOT NULL AND tzdata_version IS DISTINCT FROM %(tzdata_version)s;


-- name: now
SELECT extract(epoch FROM {s}.job_now())::double precision;
