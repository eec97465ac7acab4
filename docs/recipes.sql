-- The recipes of sql.md, which `./dev schema` writes from here. A heading and its prose, then the statements; each is run by
-- tests/schema/test_recipes.py.


-- ## What failed last night, and why?
-- `FAILED` and `TIMEOUT` are the dead letters: executions that used up their tries.
SELECT id, handler_name, status, finished_at, attempt, split_part(error, E'\n', 1) AS why
FROM job_dead_letters
WHERE finished_at > now() - interval '12 hours';


-- ## Where in my code did it fail?
-- Every unsuccessful attempt has kept its traceback, also of executions that succeeded in the end.
SELECT attempt, outcome, at, error, traceback
FROM job_attempts
WHERE execution_id = 7
ORDER BY attempt;


-- ## Retry all of that
-- All tries again, at once. What can't be sent back keeps its status, which is returned: `SKIPPED` rows, and those whose
-- `unique_key` another row holds by now, with a warning that names it.
SELECT id, retry_job(id)
FROM job_dead_letters
WHERE handler_name = 'email' AND finished_at > now() - interval '12 hours' AND error ILIKE '%timed out%';


-- ## What runs now?
-- `time_left` is negative where an attempt overruns its timeout.
SELECT id, handler_name, queue, age, time_left, progress, progress_message, worker
FROM job_running;


-- ## What is late?
-- A cron job that has been due for more than a few seconds isn't planned by anybody: see "Who is working?". Executions that are
-- planned and still wait are under "What waits, for how long, and what for?".
SELECT name, next_run_at, late_by
FROM cron_job_status
WHERE late_by > interval '10 seconds'
ORDER BY late_by DESC;


-- ## What waits, for how long, and what for?
-- In the order in which each queue is worked off.
SELECT e.id, e.queue, e.handler_name, now() - e.created_at AS waits,
       CASE WHEN e.available_at > now() AND e.retry_count > 0 THEN 'its next try at ' || e.available_at
            WHEN e.available_at > now() THEN 'its time, ' || e.available_at
            WHEN s.paused THEN 'the queue is paused' || coalesce(': ' || s.paused_reason, '')
            WHEN s.workers = 0 THEN 'no worker serves the queue'
            WHEN s.reached ~ 'max_running|rate_limit' THEN 'a limit of the queue: ' || s.reached
            WHEN EXISTS (SELECT FROM job_executions r WHERE r.concurrency_key = e.concurrency_key AND r.status = 'RUNNING')
                THEN 'another one with its concurrency_key'
            ELSE 'its turn' END AS what_for
FROM job_executions e LEFT JOIN job_queue_status s ON s.queue = e.queue
WHERE e.status = 'PENDING'
ORDER BY e.queue, e.priority DESC, e.available_at, e.id
LIMIT 100;


-- ## Why didn't it run?
-- One row: the newest tick at or before that moment, what became of it, and the cron job as it is now. With `covers` true,
-- `status` and `why` are the answer: a `SKIPPED` row says which execution was in the way, or that nothing was planning then.
-- With `covers` false no tick fell on that moment: look at the expression and its zone, at `enabled` and `invalid_reason`, and
-- whether `planned_until` has come so far. No time in the call means now.
SELECT t.covers, t.status, t.why, t.scheduled_at, t.skipped_until, t.execution_id,
       c.cron_expression, c.timezone, c.enabled, c.invalid_reason, c.planned_until, c.next_run_at
FROM cron_jobs c LEFT JOIN cron_job_tick_at(c.name, '2026-03-07 03:00 Europe/Berlin') t ON true
WHERE c.name = 'nightly';


-- ## What became of each tick?
-- A `SKIPPED` row stands for `skipped_count` ticks, up to `skipped_until`. With a name and a range of `scheduled_at` this reads
-- two short ranges of two indexes, however long the history is.
SELECT scheduled_at, skipped_until, status, execution_id, started_at - scheduled_at AS began_late_by, took, why
FROM cron_job_ticks
WHERE name = 'nightly' AND scheduled_at >= '2026-03-01' AND scheduled_at < '2026-03-08'
ORDER BY scheduled_at;


-- ## What will run next?
SELECT name, handler_name, next_run_at, next_run_at - now() AS time_left
FROM cron_job_status
WHERE enabled AND next_run_at IS NOT NULL
ORDER BY next_run_at
LIMIT 10;


-- ## Which cron jobs are broken?
-- Refused by the planner, or failing time after time.
SELECT name, cron_expression, timezone, invalid_reason, failures_in_a_row, last_error
FROM cron_job_status
WHERE invalid_reason IS NOT NULL OR failures_in_a_row >= 3;


-- ## How long does it take?
-- Of the newest 100,000 executions, so that it is as fast with any history. Seconds.
SELECT handler_name, count(*) AS successes,
       round(percentile_cont(0.50) WITHIN GROUP (ORDER BY extract(epoch FROM took))::numeric, 3) AS p50,
       round(percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM took))::numeric, 3) AS p95,
       round(extract(epoch FROM max(took)), 3) AS longest
FROM job_history
WHERE status = 'SUCCESS' AND id > (SELECT max(id) - 100000 FROM job_executions)
GROUP BY handler_name
ORDER BY p95 DESC;


-- ## Who is working?
-- A worker without a heartbeat for 60 s is `inactive`; after 5 min it is gone from here. The planner is part of each
-- `scheduler run`, unless it was started with `--only worker`.
SELECT name, hostname, status, state, queues, running_count || ' of ' || pool_size AS busy, silent_for, version
FROM job_worker_status;


-- ## How full are the queues?
SELECT queue, paused, waiting, delayed, running, oldest_waiting, workers, per_minute
FROM job_queue_status;


-- ## Run it now
-- Apart from its schedule, and also while it is paused. It returns the id of the execution, which waits where ticks of this cron
-- job may not overlap.
SELECT run_cron_job('nightly');


-- ## Stop one execution
-- A waiting one is `CANCELLED` at once. A running one is asked to stop and answers `RUNNING` until it did; `SUCCESS` still wins.
SELECT cancel_job(8, 'wrong customer');


-- ## Stop a queue for an hour
-- Nothing more is claimed from it; what runs goes on. Without a time it rests until `resume_queue('mail')`.
SELECT pause_queue('mail', 'the provider is down', now() + interval '1 hour');


-- ## Let a queue go on
SELECT resume_queue('mail');


-- ## Let no more than seven of a queue run at once
-- Over all workers. Limits that are not named stay as they are, and null lifts one; see docs/queues.md for all of them.
SELECT limit_queue('mail', '{"max_running": 7}');


-- ## Add a cron job
-- The first tick follows within a second of its time, without a restart. A mistake shows in `invalid_reason`.
INSERT INTO cron_jobs (name, cron_expression, timezone, handler_name, handler_params)
VALUES ('weekly', '0 9 * * MON', 'Europe/Berlin', 'report', '{"largest": 20}');


-- ## Change a schedule
-- It counts from now: nothing that was due before is made up for. Then look what the planner thinks of it.
UPDATE cron_jobs SET cron_expression = '30 2 * * *', timezone = 'Europe/Berlin' WHERE name = 'nightly';
SELECT name, next_run_at, invalid_reason FROM cron_job_status WHERE name = 'nightly';


-- ## Pause a cron job
-- What is planned already still runs; what falls into the pause is never made up for. `resume_cron_job('nightly')` ends it before it
-- ends by itself; without `resume_at` nothing else does.
SELECT pause_cron_job('nightly', 'the source is down', resume_at => now() + interval '2 hours');


-- ## Remove a cron job
-- Its executions stay, and what is planned still runs.
DELETE FROM cron_jobs WHERE name = 'nightly';


-- ## Enqueue in a transaction of my own
-- The execution is there when the transaction commits, and never if it doesn't.
BEGIN;
INSERT INTO orders (id, customer) VALUES (42, 'ada@example.com');
SELECT enqueue_job('email', '{"order": 42}', queue => 'mail', delay_seconds => 60);
COMMIT;


-- ## Enqueue it at most once
-- While a row holds the key, its id is returned and nothing is added. `unique_until` says for how long: `started`, `finished`
-- (the default), or `forever`, which is as long as the row exists.
SELECT enqueue_job('invoice', '{"month": "2026-03"}', unique_key => 'invoice 2026-03', unique_until => 'forever');


-- ## One at a time for each customer
-- Rows with the same `concurrency_key` wait for each other, over all workers; others pass them by.
SELECT enqueue_job('sync', '{"customer": 17}', concurrency_key => 'customer 17');


-- ## Which executions had these params?
-- Of the newest 100,000.
SELECT id, handler_name, status, created_at, handler_params
FROM job_executions
WHERE handler_params @> '{"to": "ada@example.com"}' AND id > (SELECT max(id) - 100000 FROM job_executions)
ORDER BY id DESC;


-- ## Clean up by hand
-- A piece at a time, so that it holds back nobody; again until it says `DELETE 0`.
DELETE FROM job_executions
WHERE id IN (SELECT id FROM job_executions
             WHERE status IN ('SUCCESS', 'SKIPPED') AND greatest(finished_at, skipped_until) < now() - interval '30 days'
             ORDER BY id LIMIT 10000);
