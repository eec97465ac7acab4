-- What the recipes of docs/recipes.sql are tried on: a morning after a night with a bit of everything.
SET timezone = 'UTC';

CREATE TABLE orders (id integer PRIMARY KEY, customer text);

INSERT INTO cron_jobs (id, name, cron_expression, timezone, handler_name, overlap_policy)
VALUES (1, 'nightly', '0 3 * * *', 'Europe/Berlin', 'report', 'skip'),
       (2, 'late', '* * * * *', 'UTC', 'sync', 'allow'),
       (3, 'broken', '61 * * * *', 'UTC', 'sync', 'skip'),
       (4, 'paused', '@hourly', 'UTC', 'sync', 'skip');
SELECT setval(pg_get_serial_sequence('cron_jobs', 'id'), 100);
UPDATE cron_jobs SET planned_until = job_now(), next_run_at = now() + interval '3 hours' WHERE name = 'nightly';
UPDATE cron_jobs SET planned_until = job_now(), next_run_at = now() - interval '5 min' WHERE name = 'late';
UPDATE cron_jobs SET invalid_reason = 'The minute field ''61'' is out of range: use 0 to 59.' WHERE name = 'broken';
UPDATE cron_jobs SET enabled = false WHERE name = 'paused';

INSERT INTO job_workers (id, name, hostname, queues, pool_size, running_count, lease_until, version)
VALUES ('00000000-0000-0000-0000-00000000000a', 'web-1:7', 'web-1', '{default,mail,quiet}', 5, 1, now() + interval '1 day', '0.1.0');
INSERT INTO job_queues (name, paused, paused_reason) VALUES ('quiet', true, 'until the fair is over');

-- What ended: long ago, last night, and the ticks of the nightly report.
INSERT INTO job_executions (id, handler_name, handler_params, queue, status, attempt, retry_count, finished_at, started_at, error, errors)
VALUES (1, 'sync', '{}', 'default', 'SUCCESS', 1, 0, now() - interval '60 days', now() - interval '60 days', NULL, '[]'),
       (6, 'email', '{"to": "bob@example.com"}', 'mail', 'FAILED', 3, 3, now() - interval '20 hours', now() - interval '20 hours', 'boom', '[]'),
       (7, 'email', '{"to": "ada@example.com"}', 'mail', 'FAILED', 2, 2, now() - interval '3 hours', now() - interval '3 hours',
        E'TimeoutError: timed out\nwhile connecting',
        '[{"attempt": 2, "outcome": "failure", "at": "2026-03-07T03:00:02Z", "error": "TimeoutError: timed out", "traceback": "line 2"},
          {"attempt": 1, "outcome": "failure", "at": "2026-03-07T03:00:00Z", "error": "OSError: no route", "traceback": "line 1"}]'),
       (9, 'sync', '{}', 'default', 'TIMEOUT', 1, 1, now() - interval '2 hours', now() - interval '2 hours', 'took longer than 300 s', '[]'),
       (15, 'work', '{}', 'default', 'SUCCESS', 1, 0, now(), now() - interval '1 second', NULL, '[]'),
       (16, 'work', '{}', 'default', 'SUCCESS', 1, 0, now(), now() - interval '2 seconds', NULL, '[]'),
       (17, 'work', '{}', 'default', 'SUCCESS', 1, 0, now(), now() - interval '3 seconds', NULL, '[]');
INSERT INTO job_executions (id, source, cron_job_id, handler_name, status, scheduled_at, started_at, finished_at, skipped_count, skipped_until, error)
VALUES (10, 'tick', 1, 'report', 'SUCCESS', '2026-03-06 02:00+00', '2026-03-06 02:00:01+00', '2026-03-06 02:00:03+00', NULL, NULL, NULL),
       (11, 'tick', 1, 'report', 'SKIPPED', '2026-03-07 02:00+00', NULL, '2026-03-07 02:00+00', 1, '2026-03-07 02:00+00',
        'overlap with execution 10, which has not finished');

-- What runs, and what waits for one thing or another.
INSERT INTO job_executions (id, handler_name, queue, status, attempt, claimed_by, claim_token, started_at, timeout_seconds, progress, progress_message,
                            concurrency_key)
VALUES (8, 'import', 'default', 'RUNNING', 1, '00000000-0000-0000-0000-00000000000a', gen_random_uuid(), now() - interval '1 min', 300, 0.4,
        'page 4 of 10', 'customer 17');
INSERT INTO job_executions (id, handler_name, queue, available_at, retry_count, concurrency_key)
VALUES (20, 'sync', 'default', now() - interval '1 min', 0, NULL),
       (21, 'sync', 'default', now() - interval '1 min', 0, 'customer 17'),
       (22, 'sync', 'default', '2999-01-01 00:00+00', 0, NULL),
       (23, 'sync', 'default', '2999-01-02 00:00+00', 1, NULL),
       (24, 'sync', 'lonely', now() - interval '1 min', 0, NULL),
       (25, 'sync', 'quiet', now() - interval '1 min', 0, NULL);
SELECT setval(pg_get_serial_sequence('job_executions', 'id'), 100);
