DROP VIEW cron_job_status, cron_job_ticks, job_queue_status, job_running, job_dead_letters, job_worker_status, job_attempts, job_history, job_in_doubt,
    job_audit_log, cron_job_late, cron_job_slow;

DROP FUNCTION enqueue_job, job_restart_delay, cancel_job, retry_job, run_cron_job, pause_cron_job, resume_cron_job, cron_job_tick_at,
    pause_queue, resume_queue, limit_queue, job_queue_names, cron_job_named, job_did_you_mean, register_worker, heartbeat_worker, claim_jobs, job_claim,
    complete_job, fail_job, progress_job, release_job, snooze_job, leave_worker, job_channel, job_retry_delay, job_errors_with;

DROP TABLE cron_jobs, job_executions, job_workers, job_queues, job_installation, job_transactions, job_messages, job_tokens,
    job_requests, job_audit, job_alerts;

-- What the tables' triggers and defaults called.
DROP FUNCTION job_executions_wake, job_executions_done, cron_jobs_edited, cron_jobs_wake, job_audited_change, job_audited, job_now;
