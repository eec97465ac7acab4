-- Where a long line waits behind one key or in one queue, the statistics say that nearly every row is of it, and an equality would be
-- looked up by reading the whole table, once for each row of a view. Of a range (>= and <=) they say nothing, and the index is used.

CREATE VIEW cron_job_status AS
SELECT c.name, c.enabled, c.paused_reason, c.resume_at, c.cron_expression, c.timezone, c.handler_name, nullif(c.next_run_at, 'infinity') AS next_run_at, c.last_run_at,
       last.status AS last_status, last.finished_at AS last_finished_at, last.error AS last_error,
       streak.failures AS failures_in_a_row,
       open.running, open.waiting,
       CASE WHEN c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < job_now() THEN job_now() - c.next_run_at
            WHEN c.resume_at < job_now() THEN job_now() - c.resume_at END AS late_by,
       c.invalid_reason, c.id AS cron_job_id
FROM cron_jobs c
LEFT JOIN LATERAL (
    SELECT e.status, e.finished_at, e.error FROM (
        SELECT n.cron_job_id, n.status, n.scheduled_at, n.finished_at, n.error FROM job_executions n
        WHERE n.cron_job_id >= c.id AND n.cron_job_id <= c.id AND n.status <> 'SKIPPED' ORDER BY n.cron_job_id DESC, n.scheduled_at DESC LIMIT 10000
    ) e
    WHERE e.finished_at IS NOT NULL ORDER BY e.cron_job_id DESC, e.scheduled_at DESC LIMIT 1
) last ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE recent.failed AND recent.successes = 0) AS failures FROM (
        SELECT x.status IN ('FAILED', 'TIMEOUT') AS failed, count(*) FILTER (WHERE x.status = 'SUCCESS') OVER (ORDER BY x.scheduled_at DESC) AS successes
        FROM (
            SELECT e.status, e.scheduled_at FROM (
                SELECT n.cron_job_id, n.status, n.scheduled_at, n.finished_at FROM job_executions n
                WHERE n.cron_job_id >= c.id AND n.cron_job_id <= c.id AND n.status <> 'SKIPPED' ORDER BY n.cron_job_id DESC, n.scheduled_at DESC LIMIT 10000
            ) e
            WHERE e.finished_at IS NOT NULL ORDER BY e.cron_job_id DESC, e.scheduled_at DESC LIMIT 100
        ) x
    ) recent
) streak ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE e.status = 'RUNNING') AS running, count(*) FILTER (WHERE e.status = 'PENDING') AS waiting
    FROM job_executions e WHERE e.concurrency_key >= 'cron:' || c.id AND e.concurrency_key <= 'cron:' || c.id AND e.status IN ('PENDING', 'RUNNING')
) open ON true
ORDER BY c.name;
COMMENT ON VIEW cron_job_status IS 'Each cron job at a glance: next tick, last outcome, failures in a row, how late it is, why it is refused.';
COMMENT ON COLUMN cron_job_status.name IS 'The cron job.';
COMMENT ON COLUMN cron_job_status.enabled IS 'false: paused.';
COMMENT ON COLUMN cron_job_status.paused_reason IS 'Why it is paused.';
COMMENT ON COLUMN cron_job_status.resume_at IS 'When it resumes by itself. NULL: it is not paused, or somebody has to resume it.';
COMMENT ON COLUMN cron_job_status.cron_expression IS 'When, as in cron_jobs.';
COMMENT ON COLUMN cron_job_status.timezone IS 'The zone that it is meant in.';
COMMENT ON COLUMN cron_job_status.handler_name IS 'The handler that its executions run.';
COMMENT ON COLUMN cron_job_status.next_run_at IS 'The next tick. NULL: never again, or not computed yet, or paused or invalid.';
COMMENT ON COLUMN cron_job_status.last_run_at IS 'The last tick that became an execution. NULL: none yet.';
COMMENT ON COLUMN cron_job_status.last_status IS 'Outcome of the newest execution that is final, of the newest 10,000; skipped ticks don''t count. NULL: none yet.';
COMMENT ON COLUMN cron_job_status.last_finished_at IS 'When that one ended.';
COMMENT ON COLUMN cron_job_status.last_error IS 'What went wrong with it. NULL: nothing.';
COMMENT ON COLUMN cron_job_status.failures_in_a_row IS 'FAILED or TIMEOUT since the last SUCCESS, of the newest 100 that are final among the newest 10,000.';
COMMENT ON COLUMN cron_job_status.running IS 'Executions that run now, of those that may not overlap; 0 under overlap_policy = allow.';
COMMENT ON COLUMN cron_job_status.waiting IS 'Executions that wait now, of those that may not overlap; 0 under overlap_policy = allow.';
COMMENT ON COLUMN cron_job_status.late_by IS 'Since when its next tick, or the end of its pause, is due; more than some seconds: no planner is at work. NULL: not late.';
COMMENT ON COLUMN cron_job_status.invalid_reason IS 'Why the planner refuses the row. NULL: nothing is wrong.';
COMMENT ON COLUMN cron_job_status.cron_job_id IS 'cron_jobs.id.';

CREATE VIEW cron_job_ticks AS
SELECT c.name, e.scheduled_at, e.skipped_until, e.status, e.id AS execution_id, e.started_at, e.finished_at, e.finished_at - e.started_at AS took,
       e.skipped_count, split_part(e.error, E'\n', 1) AS why, e.cron_job_id
FROM cron_jobs c JOIN job_executions e ON e.cron_job_id = c.id
WHERE e.status <> 'SKIPPED' AND e.source <> 'manual'
UNION ALL
SELECT c.name, e.scheduled_at, e.skipped_until, e.status, e.id, e.started_at, e.finished_at, e.finished_at - e.started_at,
       e.skipped_count, split_part(e.error, E'\n', 1), e.cron_job_id
FROM cron_jobs c JOIN job_executions e ON e.cron_job_id = c.id
WHERE e.status = 'SKIPPED';
COMMENT ON VIEW cron_job_ticks IS 'What became of each tick: an execution, or a SKIPPED span with the reason. Filter by name and scheduled_at.';
COMMENT ON COLUMN cron_job_ticks.name IS 'The cron job. Ticks of one that was deleted are only in job_executions.';
COMMENT ON COLUMN cron_job_ticks.scheduled_at IS 'The tick; of a SKIPPED row the first one that it stands for.';
COMMENT ON COLUMN cron_job_ticks.skipped_until IS 'The last tick that a SKIPPED row stands for. NULL: not SKIPPED.';
COMMENT ON COLUMN cron_job_ticks.status IS 'As in job_executions: PENDING | RUNNING | SUCCESS | FAILED | TIMEOUT | CANCELLED | SKIPPED.';
COMMENT ON COLUMN cron_job_ticks.execution_id IS 'job_executions.id.';
COMMENT ON COLUMN cron_job_ticks.started_at IS 'When the handler began its last attempt. NULL: never claimed.';
COMMENT ON COLUMN cron_job_ticks.finished_at IS 'When it became final. NULL: it waits or runs.';
COMMENT ON COLUMN cron_job_ticks.took IS 'Duration of the last attempt. NULL: not final, or never claimed.';
COMMENT ON COLUMN cron_job_ticks.skipped_count IS 'How many ticks a SKIPPED row stands for; 10000: at least so many. NULL: not SKIPPED.';
COMMENT ON COLUMN cron_job_ticks.why IS 'First line of the error, or why it was skipped or cancelled. NULL: nothing went wrong.';
COMMENT ON COLUMN cron_job_ticks.cron_job_id IS 'cron_jobs.id.';

CREATE VIEW job_queue_status AS
SELECT names.queue, coalesce(q.paused AND (q.resume_at IS NULL OR q.resume_at > job_now()), false) AS paused, q.paused_reason, q.resume_at,
       counts.waiting, counts.delayed, busy.running, counts.oldest_waiting,
       serving.workers, serving.per_minute, q.max_running, q.key_limit, q.rate_limit, q.rate_period_seconds, q.max_pending,
       q.aging_seconds, nullif(concat_ws(', ', CASE WHEN busy.running >= q.max_running THEN 'max_running' END, CASE WHEN q.rate_limit IS NOT NULL AND q.rate_next_at > job_now() THEN 'rate_limit' END,
                        CASE WHEN counts.waiting + counts.delayed >= q.max_pending THEN 'max_pending' END), '') AS reached
FROM job_queue_names() AS names (queue)
LEFT JOIN job_queues q ON q.name = names.queue
CROSS JOIN LATERAL (
    SELECT sum(half.waiting)::bigint AS waiting, sum(half.delayed)::bigint AS delayed,
           CASE WHEN min(half.oldest) <= n.now THEN n.now - min(half.oldest) END AS oldest_waiting
    FROM (SELECT job_now() AS now) n CROSS JOIN LATERAL (
        -- Each half is counted by one index, without a look at the table.
        SELECT count(*) FILTER (WHERE e.available_at <= n.now) AS waiting, count(*) FILTER (WHERE e.available_at > n.now) AS delayed, min(e.available_at) AS oldest
        FROM job_executions e WHERE e.queue >= names.queue AND e.queue <= names.queue AND e.status = 'PENDING' AND e.concurrency_key IS NULL
        UNION ALL
        SELECT count(*) FILTER (WHERE e.available_at <= n.now), count(*) FILTER (WHERE e.available_at > n.now), min(e.available_at)
        FROM job_executions e WHERE e.queue >= names.queue AND e.queue <= names.queue AND e.status = 'PENDING' AND e.concurrency_key IS NOT NULL
    ) half
    GROUP BY n.now
) counts
LEFT JOIN LATERAL (
    SELECT count(*) AS running FROM job_executions e WHERE e.queue = names.queue AND e.status = 'RUNNING'
) busy ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS workers,
           round(sum((w.succeeded_count + w.failed_count) / greatest(extract(epoch FROM w.heartbeat_at - w.started_at), 1)) * 60, 1) AS per_minute
    FROM job_workers w WHERE names.queue = ANY(w.queues) AND w.status IN ('ACTIVE', 'DRAINING')
) serving ON true
ORDER BY names.queue;
COMMENT ON VIEW job_queue_status IS 'Each queue at a glance: what waits and since when, what runs, who serves it. Its cost grows with what waits.';
COMMENT ON COLUMN job_queue_status.queue IS 'Every queue that anything names; see job_queue_names().';
COMMENT ON COLUMN job_queue_status.paused IS 'true: nothing is claimed from it now.';
COMMENT ON COLUMN job_queue_status.paused_reason IS 'Why, for people.';
COMMENT ON COLUMN job_queue_status.resume_at IS 'When the pause ends by itself. NULL: when somebody resumes it.';
COMMENT ON COLUMN job_queue_status.waiting IS 'Executions that could be claimed now.';
COMMENT ON COLUMN job_queue_status.delayed IS 'Executions that wait for their available_at.';
COMMENT ON COLUMN job_queue_status.running IS 'Executions that are claimed.';
COMMENT ON COLUMN job_queue_status.oldest_waiting IS 'For how long the oldest of the waiting ones could have been claimed. NULL: none waits.';
COMMENT ON COLUMN job_queue_status.workers IS 'Workers at work that serve it.';
COMMENT ON COLUMN job_queue_status.per_minute IS 'Attempts that those workers ended per minute since they started, over all queues of theirs. NULL: no worker.';
COMMENT ON COLUMN job_queue_status.max_running IS 'How many may run at once, over all workers. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.key_limit IS 'How many of a concurrency_key may run at once, where the row names no limit. NULL: 1.';
COMMENT ON COLUMN job_queue_status.rate_limit IS 'How many may be claimed in any rate_period_seconds. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.rate_period_seconds IS 'Seconds that rate_limit is about. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.max_pending IS 'How many may wait, delayed ones included, before enqueue_job() refuses. NULL: no limit.';
COMMENT ON COLUMN job_queue_status.aging_seconds IS 'Each time that a row has waited for so many seconds, its priority goes up by 1. NULL: never.';
COMMENT ON COLUMN job_queue_status.reached IS 'The limits that are reached now: max_running and rate_limit hold up claims, max_pending enqueue_job(). NULL: none.';

CREATE VIEW job_running AS
SELECT e.id, e.handler_name, e.queue, e.attempt, job_now() - e.started_at AS age,
       e.started_at + make_interval(secs => e.timeout_seconds) - job_now() AS time_left,
       e.progress, e.progress_message, w.name AS worker, w.hostname, w.pid, e.cancel_requested_at, e.cron_job_id, e.claimed_by
FROM job_executions e LEFT JOIN job_workers w ON w.id = e.claimed_by
WHERE e.status = 'RUNNING'
ORDER BY e.started_at;
COMMENT ON VIEW job_running IS 'What is claimed now, the oldest first: how long, how long it may still take, how far it is, and who has it.';
COMMENT ON COLUMN job_running.id IS 'job_executions.id; SELECT cancel_job(id) asks it to stop.';
COMMENT ON COLUMN job_running.handler_name IS 'The handler that runs.';
COMMENT ON COLUMN job_running.queue IS 'The queue it came from.';
COMMENT ON COLUMN job_running.attempt IS 'How often it was claimed, this time included.';
COMMENT ON COLUMN job_running.age IS 'Time since the claim.';
COMMENT ON COLUMN job_running.time_left IS 'Until its timeout; negative: overdue.';
COMMENT ON COLUMN job_running.progress IS '0 to 1, as the handler last said. NULL: it said nothing.';
COMMENT ON COLUMN job_running.progress_message IS 'What it said with it.';
COMMENT ON COLUMN job_running.worker IS 'Name of the worker that has it. NULL: its row is gone.';
COMMENT ON COLUMN job_running.hostname IS 'The host of that worker.';
COMMENT ON COLUMN job_running.pid IS 'The process id of that worker.';
COMMENT ON COLUMN job_running.cancel_requested_at IS 'Since when it is asked to stop. NULL: it is not.';
COMMENT ON COLUMN job_running.cron_job_id IS 'The cron job it belongs to. NULL: none.';
COMMENT ON COLUMN job_running.claimed_by IS 'The worker (job_workers.id) that has it.';

CREATE VIEW job_dead_letters AS
SELECT e.id, e.handler_name, e.queue, e.status, e.finished_at, e.attempt, e.retry_count, e.error, e.handler_params, e.cron_job_id, e.scheduled_at
FROM job_executions e
WHERE e.status IN ('FAILED', 'TIMEOUT')
ORDER BY e.finished_at DESC;
COMMENT ON VIEW job_dead_letters IS 'Executions that used up their tries, newest first; retry_job() sends one back.';
COMMENT ON COLUMN job_dead_letters.id IS 'job_executions.id; SELECT retry_job(id) sends it back.';
COMMENT ON COLUMN job_dead_letters.handler_name IS 'The handler that failed.';
COMMENT ON COLUMN job_dead_letters.queue IS 'The queue it waited under.';
COMMENT ON COLUMN job_dead_letters.status IS 'FAILED | TIMEOUT.';
COMMENT ON COLUMN job_dead_letters.finished_at IS 'When the last try ended.';
COMMENT ON COLUMN job_dead_letters.attempt IS 'How often it was claimed.';
COMMENT ON COLUMN job_dead_letters.retry_count IS 'How often it failed since it was enqueued or sent back.';
COMMENT ON COLUMN job_dead_letters.error IS 'The last error; its first line says it. All of them: job_attempts.';
COMMENT ON COLUMN job_dead_letters.handler_params IS 'JSON that the handler was given.';
COMMENT ON COLUMN job_dead_letters.cron_job_id IS 'The cron job it belongs to. NULL: none.';
COMMENT ON COLUMN job_dead_letters.scheduled_at IS 'Its tick, or when it was asked for.';

CREATE VIEW job_worker_status AS
SELECT w.id, w.name, w.hostname, w.pid, w.status, CASE WHEN w.heartbeat_at > job_now() - interval '60 s' THEN 'active' ELSE 'inactive' END AS state,
       w.queues, w.pool_size, w.running_count, w.succeeded_count, w.failed_count, job_now() - w.heartbeat_at AS silent_for, w.started_at, w.version,
       w.loops, stalled.loops AS stalled
FROM job_workers w CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(loop.told ->> 'key', loop.told -> 'value' -> 'age'), '{}') AS loops
    FROM jsonb_path_query(w.loops, '$.keyvalue() ? (@.value.limit > 0 && @.value.age > @.value.limit && @.value.age < 1e9)', '{}', true) AS loop (told)
    WHERE w.status <> 'LOST'
) stalled
WHERE w.heartbeat_at > job_now() - interval '5 min' AND w.status <> 'STOPPED'
ORDER BY w.started_at;
COMMENT ON VIEW job_worker_status IS 'Workers that did not stop and were heard of in the last five minutes.';
COMMENT ON COLUMN job_worker_status.id IS 'job_workers.id.';
COMMENT ON COLUMN job_worker_status.name IS 'What it calls itself.';
COMMENT ON COLUMN job_worker_status.hostname IS 'The host it runs on.';
COMMENT ON COLUMN job_worker_status.pid IS 'Its process id there.';
COMMENT ON COLUMN job_worker_status.status IS 'ACTIVE (claims) | DRAINING (finishes what it has) | LOST (its lease ran out).';
COMMENT ON COLUMN job_worker_status.state IS 'active, or inactive after 60 s without a heartbeat.';
COMMENT ON COLUMN job_worker_status.queues IS 'The queues it claims from; empty: it only plans.';
COMMENT ON COLUMN job_worker_status.pool_size IS 'How many executions it runs at once.';
COMMENT ON COLUMN job_worker_status.running_count IS 'Attempts running at the last heartbeat.';
COMMENT ON COLUMN job_worker_status.succeeded_count IS 'Attempts that succeeded since it started.';
COMMENT ON COLUMN job_worker_status.failed_count IS 'Attempts that did not succeed since it started.';
COMMENT ON COLUMN job_worker_status.silent_for IS 'Time since the last heartbeat.';
COMMENT ON COLUMN job_worker_status.started_at IS 'When it registered.';
COMMENT ON COLUMN job_worker_status.version IS 'The version of the package it runs.';
COMMENT ON COLUMN job_worker_status.loops IS 'Loop -> {"age": seconds since it last succeeded, "limit": what is too old}. NULL: it does not tell.';
COMMENT ON COLUMN job_worker_status.stalled IS 'Loop -> seconds, of those that were too old at the last heartbeat. {}: none, or it is LOST.';

CREATE VIEW job_attempts AS
SELECT e.id AS execution_id, e.handler_name, e.cron_job_id, (a.entry ->> 'attempt')::integer AS attempt, a.entry ->> 'outcome' AS outcome,
       (a.entry ->> 'at')::timestamptz AS at, a.entry ->> 'worker' AS worker, a.entry ->> 'error' AS error, a.entry ->> 'traceback' AS traceback
FROM job_executions e CROSS JOIN LATERAL jsonb_array_elements(e.errors) AS a (entry);
COMMENT ON VIEW job_attempts IS 'Each unsuccessful attempt with its traceback: the first and the last 19 of an execution. Filter by execution_id.';
COMMENT ON COLUMN job_attempts.execution_id IS 'job_executions.id.';
COMMENT ON COLUMN job_attempts.handler_name IS 'The handler that ran.';
COMMENT ON COLUMN job_attempts.cron_job_id IS 'The cron job it belongs to. NULL: none.';
COMMENT ON COLUMN job_attempts.attempt IS 'Which attempt it was, from 1 on.';
COMMENT ON COLUMN job_attempts.outcome IS 'failure | timeout | cancelled | lost.';
COMMENT ON COLUMN job_attempts.at IS 'When it ended.';
COMMENT ON COLUMN job_attempts.worker IS 'The worker (job_workers.id) that ran it.';
COMMENT ON COLUMN job_attempts.error IS 'What went wrong; its first line says it.';
COMMENT ON COLUMN job_attempts.traceback IS 'Where in the handler. NULL: there is none.';

CREATE VIEW job_history AS
SELECT e.*, e.finished_at - e.started_at AS took
FROM job_executions e
WHERE e.status NOT IN ('PENDING', 'RUNNING');
COMMENT ON VIEW job_history IS 'Final executions, every column of job_executions: the name that stays wherever they may be stored one day.';
COMMENT ON COLUMN job_history.id IS 'What cancel_job() and retry_job() take.';
COMMENT ON COLUMN job_history.source IS 'Where it came from: enqueue | tick | manual | backfill | message.';
COMMENT ON COLUMN job_history.cron_job_id IS 'The cron job (cron_jobs.id) it belongs to; the row may outlive it. NULL: it belongs to none.';
COMMENT ON COLUMN job_history.handler_name IS 'The handler that runs it: a registered name, never a path to code.';
COMMENT ON COLUMN job_history.handler_params IS 'JSON handed to the handler; at most 1 MiB as text.';
COMMENT ON COLUMN job_history.queue IS 'The queue it waits under; workers claim from the queues they serve.';
COMMENT ON COLUMN job_history.priority IS '-9 to 9; higher runs first within its queue.';
COMMENT ON COLUMN job_history.status IS 'PENDING | RUNNING | SUCCESS | FAILED | TIMEOUT | CANCELLED | SKIPPED. FAILED and TIMEOUT are dead letters.';
COMMENT ON COLUMN job_history.scheduled_at IS 'The nominal tick, or when it was asked for.';
COMMENT ON COLUMN job_history.available_at IS 'Not to be claimed before this: a delay, a jitter, the backoff after a failure.';
COMMENT ON COLUMN job_history.timeout_seconds IS 'Seconds an attempt may take. NULL until a claim writes what is in force: the handler''s own, else 300.';
COMMENT ON COLUMN job_history.retry_count IS 'Failed and timed-out attempts so far; at max_retry it is final. retry_job() begins at 0 again.';
COMMENT ON COLUMN job_history.max_retry IS 'How often it may fail in all; 0 and 1: no second try. NULL until claimed: the handler''s own, else 3.';
COMMENT ON COLUMN job_history.retry_backoff IS 'fixed | linear | exponential: the delay times 1, n, or 2^(n-1) after n failures. NULL until claimed, as timeout_seconds.';
COMMENT ON COLUMN job_history.retry_delay_seconds IS 'Seconds, 0 to 86400: what the backoff multiplies; a wait is at most a day. NULL until claimed: the handler''s, else 2.';
COMMENT ON COLUMN job_history.attempt IS 'How often it was claimed, whatever came of it.';
COMMENT ON COLUMN job_history.claim_token IS 'The fence: every write of an attempt names it. Kept when final, NULL while waiting.';
COMMENT ON COLUMN job_history.claimed_by IS 'The worker (job_workers.id) that has it or had it last. Kept when final, NULL while waiting.';
COMMENT ON COLUMN job_history.started_at IS 'While RUNNING: the claim. Afterwards: when the handler began its last attempt. NULL: never claimed.';
COMMENT ON COLUMN job_history.finished_at IS 'When it became final. NULL: PENDING or RUNNING.';
COMMENT ON COLUMN job_history.suspect IS 'Its last worker was lost while holding it; false again at its next outcome.';
COMMENT ON COLUMN job_history.cancel_requested_at IS 'Somebody asked for it to stop. Success still wins; every other outcome becomes CANCELLED.';
COMMENT ON COLUMN job_history.cancel_reason IS 'Why, as cancel_job() was told.';
COMMENT ON COLUMN job_history.progress IS '0 to 1, as the handler last said. NULL: it said nothing.';
COMMENT ON COLUMN job_history.progress_message IS 'What the handler said with it.';
COMMENT ON COLUMN job_history.result IS 'JSON that the handler returned. NULL: not SUCCESS, or nothing was returned.';
COMMENT ON COLUMN job_history.error IS 'The last error, or why it was skipped or cancelled; its first line says it. NULL: none, or SUCCESS since.';
COMMENT ON COLUMN job_history.errors IS 'Unsuccessful attempts, the first and the last 19: attempt, outcome, at, worker, error, traceback. See job_attempts.';
COMMENT ON COLUMN job_history.unique_key IS 'At most one row with this key for as long as unique_until says. NULL: no such bound.';
COMMENT ON COLUMN job_history.unique_until IS 'started: until its first claim; finished: until final; forever: as long as the row exists.';
COMMENT ON COLUMN job_history.concurrency_key IS 'At most concurrency_limit rows with this key run at once, over all workers; cron:ID for ticks that may not overlap.';
COMMENT ON COLUMN job_history.concurrency_limit IS 'How many rows with this concurrency_key may run at once, 1 or more. NULL: 1.';
COMMENT ON COLUMN job_history.skipped_count IS 'Ticks that a SKIPPED row stands for, from scheduled_at to skipped_until; 10000: at least so many. NULL: not SKIPPED.';
COMMENT ON COLUMN job_history.skipped_until IS 'The last tick a SKIPPED row stands for. NULL: not SKIPPED.';
COMMENT ON COLUMN job_history.notify_done IS 'Somebody waits for its end, which is notified.';
COMMENT ON COLUMN job_history.lifted IS 'How often it has waited for aging_seconds of its queue, each of which lifts priority by 1, up to 9. NULL: never.';
COMMENT ON COLUMN job_history.created_at IS 'When the row was inserted.';
COMMENT ON COLUMN job_history.took IS 'Duration of the last attempt. NULL: never claimed.';

CREATE VIEW job_in_doubt AS
SELECT p.gid, p.database, coalesce(t.decision, 'UNDECIDED') AS decision, p.prepared AS since, job_now() - p.prepared AS age, p.owner,
       t.participants, t.execution_id
FROM pg_prepared_xacts p CROSS JOIN job_installation i
LEFT JOIN job_transactions t ON t.gid = regexp_replace(p.gid, ':[0-9]+$', '')
WHERE starts_with(p.gid, 'sched:' || i.id || ':')
UNION ALL
SELECT t.gid, NULL, t.decision, t.decided_at, job_now() - t.decided_at, NULL, t.participants, t.execution_id
FROM job_transactions t
WHERE t.settled_at IS NULL AND t.decided_at < job_now() - interval '30 s';
COMMENT ON VIEW job_in_doubt IS 'What is prepared and not ended, as far as this server sees, and decisions that some participant may not have heard of yet.';
COMMENT ON COLUMN job_in_doubt.gid IS 'As in pg_prepared_xacts there, or, of a decision, as in job_transactions.';
COMMENT ON COLUMN job_in_doubt.database IS 'The database of this server that it is prepared in. NULL: a decision that is 30 s old, with a participant to hear of it.';
COMMENT ON COLUMN job_in_doubt.decision IS 'COMMIT | ABORT: what the resolver carries out. UNDECIDED: its coordinator is at work, or the resolver says ABORT soon.';
COMMENT ON COLUMN job_in_doubt.since IS 'When it was prepared, or decided.';
COMMENT ON COLUMN job_in_doubt.age IS 'Time since then.';
COMMENT ON COLUMN job_in_doubt.owner IS 'The role that prepared it, which alone may end it, or a superuser. NULL: a decision.';
COMMENT ON COLUMN job_in_doubt.participants IS 'The names of the databases that prepared. NULL: not decided.';
COMMENT ON COLUMN job_in_doubt.execution_id IS 'The execution (job_executions.id) that it was part of. NULL: none, or not decided.';

CREATE VIEW job_audit_log AS
SELECT a.id, a.at, coalesce(a.actor, a.role) AS who, a.action, a.target, a.changes, a.role, a.application
FROM job_audit a;
COMMENT ON VIEW job_audit_log IS 'Who did what, and with what. SELECT * FROM job_audit_log ORDER BY id DESC LIMIT 20;';
COMMENT ON COLUMN job_audit_log.id IS 'In the order in which it was done.';
COMMENT ON COLUMN job_audit_log.at IS 'When.';
COMMENT ON COLUMN job_audit_log.who IS 'The token or person where the session says so (the setting scheduler.actor), else the database role.';
COMMENT ON COLUMN job_audit_log.action IS 'What, such as cron_job.pause or execution.retry; job_audit lists them.';
COMMENT ON COLUMN job_audit_log.target IS 'With what: the name of the cron job, queue or token, or the id of the execution.';
COMMENT ON COLUMN job_audit_log.changes IS 'Column -> [before, after], or what else there is to say. NULL: nothing more.';
COMMENT ON COLUMN job_audit_log.role IS 'The database role.';
COMMENT ON COLUMN job_audit_log.application IS 'The application_name of the session: psql, scheduler command, scheduler web.';
