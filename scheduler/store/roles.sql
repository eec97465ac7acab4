-- Four roles for the tables of the scheduler in schema {schema}, each with no more rights than its task needs:
--
--   {viewer}    sees what goes on, but neither params nor results nor tracebacks, which may hold secrets
--   {enqueuer}  enqueues, by enqueue_job() or a plain INSERT, and does nothing else
--   {worker}    runs `scheduler run`; can neither change a schedule nor make or drop anything
--   {admin}     does all that a person does by rows, functions and commands; `scheduler migrate` is for the owner
--
-- None can log in: GRANT {worker} TO your_login. This takes the owner of the tables, and CREATEROLE where a role is missing.
-- It may run again at any time, and should after an upgrade. What else the roles were granted elsewhere, they keep.

BEGIN;
SET LOCAL search_path = {s}, pg_temp;

DO $$
DECLARE
    wanted record;
    login boolean;
BEGIN
    -- To somebody who has the rights and may not pass them on, GRANT says no more than a warning.
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = 'job_executions'::regclass), 'USAGE') THEN
        RAISE EXCEPTION 'role "%" does not own the tables', current_user USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR wanted IN VALUES ('{viewer}', 'The scheduler in schema {schema}: sees what goes on, but no params, results or tracebacks.'),
                         ('{enqueuer}', 'The scheduler in schema {schema}: enqueues executions.'),
                         ('{worker}', 'The scheduler in schema {schema}: runs workers and planners.'),
                         ('{admin}', 'The scheduler in schema {schema}: changes cron jobs, executions and queues.')
    LOOP
        SELECT rolcanlogin OR rolsuper INTO login FROM pg_roles WHERE rolname = wanted.column1;
        IF NOT FOUND THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted.column1);
            EXECUTE format('COMMENT ON ROLE %I IS %L', wanted.column1, wanted.column2);
        ELSIF login THEN
            RAISE EXCEPTION 'role "%" is there already and can log in', wanted.column1
                USING ERRCODE = 'duplicate_object', HINT = 'Choose another --prefix.';
        END IF;
    END LOOP;
END $$;


-- Begin anew: what an older version granted, and this one would not, is gone at the end of this transaction.

REVOKE ALL ON cron_jobs, job_executions, job_workers, job_queues, job_installation, job_transactions, job_messages, job_tokens, job_requests, job_audit, job_alerts, scheduler_version,
    cron_job_status, cron_job_ticks, job_queue_status, job_running, job_dead_letters, job_worker_status, job_attempts, job_history, job_in_doubt,
    job_audit_log, cron_job_late, cron_job_slow
    FROM {admin}, {enqueuer}, {worker}, {viewer};

REVOKE ALL ON FUNCTION enqueue_job, cancel_job, retry_job, run_cron_job, pause_cron_job, resume_cron_job, cron_job_tick_at, pause_queue, resume_queue,
    limit_queue, register_worker, heartbeat_worker, claim_jobs, job_claim, complete_job, fail_job, progress_job, release_job, snooze_job, leave_worker,
    job_queue_names, job_now, job_channel, job_retry_delay, job_errors_with,
    job_did_you_mean, cron_job_named, job_restart_delay, job_audited
    FROM {admin}, {enqueuer}, {worker}, {viewer};


-- Everybody. A function runs with its caller's rights, so that to call it is never enough to do what it does (but for job_restart_delay(),
-- which asks whether its caller may enqueue): these grants
-- only matter where somebody has taken away the right to call functions that PostgreSQL gives to all.

GRANT USAGE ON SCHEMA {s} TO {admin}, {enqueuer}, {worker}, {viewer};
GRANT SELECT ON scheduler_version TO {admin}, {enqueuer}, {worker}, {viewer};
GRANT EXECUTE ON FUNCTION job_now, job_channel, job_retry_delay, job_errors_with, job_did_you_mean, job_audited TO {admin}, {enqueuer}, {worker}, {viewer};


-- The viewer: every column but handler_params, declared (which repeats them), result, errors, traceback and digest.

GRANT SELECT ON job_workers, job_queues, job_installation, job_transactions, job_messages, job_audit, job_audit_log, job_alerts,
    cron_job_status, cron_job_ticks, cron_job_late, cron_job_slow, job_queue_status, job_running, job_worker_status, job_in_doubt TO {viewer};

GRANT SELECT (id, name, description, cron_expression, timezone, handler_name, queue, priority, timeout_seconds, max_retry, retry_backoff,
        retry_delay_seconds, overlap_policy, catch_up, catch_up_limit, jitter_seconds, expected_duration_seconds, max_start_delay_seconds, starts_at, ends_at, enabled, paused_reason, resume_at, next_run_at, planned_until,
        last_run_at, invalid_reason, managed_by, tzdata_version, unplanned, created_by, created_at, updated_at)
    ON cron_jobs TO {viewer};

GRANT SELECT (id, source, cron_job_id, handler_name, queue, priority, status, scheduled_at, available_at, timeout_seconds, retry_count, max_retry,
        retry_backoff, retry_delay_seconds, attempt, claim_token, claimed_by, started_at, finished_at, suspect, cancel_requested_at, cancel_reason,
        progress, progress_message, error, unique_key, unique_until, concurrency_key, concurrency_limit, skipped_count, skipped_until, notify_done,
        lifted, created_at)
    ON job_executions TO {viewer};

GRANT SELECT (id, source, cron_job_id, handler_name, queue, priority, status, scheduled_at, available_at, timeout_seconds, retry_count, max_retry,
        retry_backoff, retry_delay_seconds, attempt, claim_token, claimed_by, started_at, finished_at, suspect, cancel_requested_at, cancel_reason,
        progress, progress_message, error, unique_key, unique_until, concurrency_key, concurrency_limit, skipped_count, skipped_until, notify_done,
        lifted, created_at, took)
    ON job_history TO {viewer};

GRANT SELECT (id, handler_name, queue, status, finished_at, attempt, retry_count, error, cron_job_id, scheduled_at)
    ON job_dead_letters TO {viewer};

GRANT SELECT (execution_id, handler_name, cron_job_id, attempt, outcome, at, worker, error)
    ON job_attempts TO {viewer};

GRANT SELECT (name, role, created_by, created_at, expires_at) ON job_tokens TO {viewer};

GRANT SELECT (scope, key, execution_ids, created_at) ON job_requests TO {viewer};

GRANT EXECUTE ON FUNCTION cron_job_named, cron_job_tick_at, job_queue_names TO {viewer};


-- The enqueuer. It reads what RETURNING id and ON CONFLICT (unique_key) need, and the count of what waits in a queue with max_pending, and the
-- trigger whether some worker sleeps.

GRANT INSERT (handler_name, handler_params, queue, priority, scheduled_at, available_at, timeout_seconds, max_retry, retry_backoff,
        retry_delay_seconds, unique_key, unique_until, concurrency_key, concurrency_limit, notify_done),
    SELECT (id, queue, status, attempt, unique_key, unique_until, concurrency_key)
    ON job_executions TO {enqueuer};

GRANT SELECT (name, max_pending) ON job_queues TO {enqueuer};

GRANT SELECT (wake_until) ON job_workers TO {enqueuer};

GRANT EXECUTE ON FUNCTION enqueue_job, job_restart_delay TO {enqueuer};


-- The worker: planner, claims, outcomes, rescue, heartbeat, decisions; and its handlers may enqueue. Of a cron job it writes how far it
-- is planned, of an execution never what it is: handler, params, queue, keys and tick stay as they were inserted. Its priority it lifts where that ages.

GRANT SELECT ON cron_jobs, job_executions, job_workers, job_queues, job_installation, job_transactions, job_alerts,
    cron_job_status, cron_job_ticks, cron_job_late, cron_job_slow, job_queue_status, job_running, job_dead_letters, job_worker_status, job_attempts, job_history, job_in_doubt TO {worker};

GRANT UPDATE (next_run_at, planned_until, last_run_at, invalid_reason, tzdata_version, unplanned) ON cron_jobs TO {worker};

GRANT INSERT (source, cron_job_id, handler_name, handler_params, queue, priority, status, scheduled_at, available_at, finished_at, timeout_seconds,
        max_retry, retry_backoff, retry_delay_seconds, unique_key, unique_until, concurrency_key, concurrency_limit, skipped_count, skipped_until,
        error, notify_done),
    UPDATE (status, available_at, timeout_seconds, retry_count, max_retry, retry_backoff, retry_delay_seconds, attempt, claim_token, claimed_by,
        started_at, finished_at, suspect, cancel_requested_at, cancel_reason, progress, progress_message, result, error, errors, priority, lifted)
    ON job_executions TO {worker};

GRANT INSERT (id, name, hostname, pid, queues, pool_size, lease_until, version),
    UPDATE (status, heartbeat_at, lease_until, wake_until, running_count, succeeded_count, failed_count, loops)
    ON job_workers TO {worker};

-- A message becomes an execution, and is known by this from then on.
GRANT SELECT, INSERT (source, message_id, execution_id) ON job_messages TO {worker};

-- Alerts: opened, kept and closed by whichever worker's turn it is.
GRANT INSERT (rule, subject, message, number, opened_at, last_seen_at), UPDATE (message, number, last_seen_at, closed_at), DELETE
    ON job_alerts TO {worker};

-- Retention: what is over and old enough is deleted by whichever worker's turn it is.
GRANT SELECT ON job_audit, job_audit_log TO {worker};
GRANT SELECT (scope, key, created_at) ON job_requests TO {worker};
GRANT DELETE ON job_executions, job_workers, job_messages, job_requests, job_audit TO {worker};

-- Of a queue it keeps how far its rate is used up and what has aged, and pauses it after too many failures.
GRANT UPDATE (rate_next_at, rate_taken_at, rate_taken, aged_until, paused, paused_reason, resume_at) ON job_queues TO {worker};

-- A decision is made once and never changed; what everybody has carried out is deleted in the end.
GRANT INSERT (gid, decision, participants, execution_id, claim_token), UPDATE (settled_at), DELETE ON job_transactions TO {worker};

GRANT EXECUTE ON FUNCTION enqueue_job, job_restart_delay, cancel_job, retry_job, cron_job_named, cron_job_tick_at, job_queue_names,
    register_worker, heartbeat_worker, claim_jobs, job_claim, complete_job, fail_job, progress_job, release_job, snooze_job, leave_worker TO {worker};


-- The admin. The decisions of transactions over several databases are nobody's to edit.

GRANT SELECT, INSERT, UPDATE, DELETE ON cron_jobs, job_executions, job_workers, job_queues, job_messages, job_alerts TO {admin};
GRANT SELECT, INSERT, DELETE ON job_tokens, job_requests TO {admin};
GRANT UPDATE (execution_ids) ON job_requests TO {admin};
GRANT SELECT ON job_installation, job_transactions, job_audit, job_audit_log,
    cron_job_status, cron_job_ticks, cron_job_late, cron_job_slow, job_queue_status, job_running, job_dead_letters, job_worker_status, job_attempts, job_history, job_in_doubt TO {admin};
GRANT EXECUTE ON FUNCTION enqueue_job, job_restart_delay, cancel_job, retry_job, run_cron_job, pause_cron_job, resume_cron_job, cron_job_tick_at, pause_queue,
    resume_queue, limit_queue, register_worker, heartbeat_worker, claim_jobs, job_claim, complete_job, fail_job, progress_job, release_job, snooze_job,
    leave_worker, cron_job_named, job_queue_names TO {admin};

COMMIT;
