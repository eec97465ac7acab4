-- What `scheduler bench` asks. `{s}` is a schema that it made for itself, but for the statement bench_use.


-- name: bench_server
SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
       current_database()::text AS database, current_user::text AS role, has_database_privilege(current_database(), 'CREATE') AS may_create;


-- name: bench_use
-- What there is to disturb in the project's own schema: what waits is counted up to 1,001. Index: job_executions_claim and
-- _claim_keyed, in their order, for the table may begin with millions of final rows.
SELECT least(1001, (SELECT count(*) FROM (SELECT FROM {s}.job_executions AS e
                                           WHERE e.status = 'PENDING' AND e.concurrency_key IS NULL
                                           ORDER BY e.queue LIMIT 1001) AS unkeyed)
                 + (SELECT count(*) FROM (SELECT FROM {s}.job_executions AS e
                                           WHERE e.status = 'PENDING' AND e.concurrency_key IS NOT NULL
                                           ORDER BY e.queue LIMIT 1001) AS keyed)
       )::integer AS waiting,
       (SELECT count(*) FROM {s}.job_workers WHERE status IN ('ACTIVE', 'DRAINING') AND lease_until > {s}.job_now())::integer AS workers;


-- name: bench_left_over
-- Schemas of this kind that no session works on: an earlier run could not drop them.
SELECT n.nspname::text AS name FROM pg_namespace AS n
WHERE n.nspname ~ %(pattern)s
  AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.application_name = %(session)s || n.nspname)
ORDER BY n.nspname;


-- name: bench_drop
DROP SCHEMA IF EXISTS {s} CASCADE;


-- name: bench_yardstick
CREATE TABLE {s}.bench_yardstick (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, params jsonb NOT NULL);


-- name: bench_empty
-- What was only enqueued is out of the way of what follows.
TRUNCATE {s}.job_executions;


-- name: bench_waiting
-- Nothing of a benchmark has a key. Index: job_executions_claim.
SELECT count(*)::integer AS waiting FROM {s}.job_executions WHERE status = 'PENDING' AND concurrency_key IS NULL;


-- name: bench_drained
SELECT count(*) FILTER (WHERE status = 'SUCCESS')::integer AS done, count(*) FILTER (WHERE status IN ('PENDING', 'RUNNING'))::integer AS unfinished,
       extract(epoch FROM max(finished_at) - min(started_at))::double precision AS seconds
FROM {s}.job_executions
WHERE handler_name = %(handler)s;


-- name: bench_lateness
-- Of each tick that ran, but for the first of each cron job, which may have been due before its row was committed.
SELECT extract(epoch FROM e.started_at - e.scheduled_at)::double precision AS seconds
FROM {s}.job_executions AS e
WHERE e.source = 'tick' AND e.status = 'SUCCESS'
  AND e.scheduled_at > (SELECT min(f.scheduled_at) FROM {s}.job_executions AS f WHERE f.cron_job_id = e.cron_job_id);


-- name: bench_not_run
-- Ticks that were skipped, for the one before had not ended.
SELECT coalesce(sum(skipped_count), 0)::integer AS ticks FROM {s}.job_executions WHERE source = 'tick' AND status = 'SKIPPED';
