-- Who may ask over HTTP, what they asked for once, who did what, and whether all is well; no statement here locks rows for longer than itself.
-- Columns are named as the fields of the dataclasses in operations/. Times come as they are stored, JSON as its text.


-- name: token_of_digest
-- No row: nobody has it, or it has expired. Index: job_tokens_digest_key.
SELECT t.name, t.role FROM {s}.job_tokens AS t WHERE t.digest = %(digest)s AND coalesce(t.expires_at > {s}.job_now(), true);


-- name: tokens
SELECT t.name, t.role, t.created_by, t.created_at, t.expires_at, coalesce(t.expires_at <= {s}.job_now(), false) AS expired
FROM {s}.job_tokens AS t ORDER BY t.name;


-- name: add_token
-- No row: the name is taken.
INSERT INTO {s}.job_tokens (name, role, digest, expires_at) VALUES (%(name)s, %(role)s, %(digest)s, %(expires_at)s)
ON CONFLICT (name) DO NOTHING
RETURNING name;


-- name: remove_token
DELETE FROM {s}.job_tokens AS t WHERE t.name = %(name)s RETURNING t.name;


-- name: begin_request
-- Its turn: who comes with the same key meanwhile waits for the end of this transaction. No row: it has been asked for before.
INSERT INTO {s}.job_requests AS r (scope, key, digest) VALUES (%(scope)s, %(key)s, %(digest)s) ON CONFLICT (scope, key) DO NOTHING RETURNING r.key;


-- name: request_seen
SELECT r.digest, r.execution_ids FROM {s}.job_requests AS r WHERE r.scope = %(scope)s AND r.key = %(key)s;


-- name: answer_request
UPDATE {s}.job_requests AS r SET execution_ids = %(ids)s::bigint[] WHERE r.scope = %(scope)s AND r.key = %(key)s RETURNING r.key;


-- name: write_audit
SELECT {s}.job_audited(%(action)s, %(target)s, %(changes)s::jsonb);


-- name: audit_log
-- A page, the newest first. Index: the primary key.
SELECT v.id, v.at, v.who, v.action, v.target, v.changes::text, v.role, v.application
FROM {s}.job_audit_log AS v
WHERE (%(before)s::bigint IS NULL OR v.id < %(before)s)
ORDER BY v.id DESC
LIMIT %(limit)s;


-- name: line_health
-- How late the planner is, who works and who plans, and what is in doubt. Indexes: cron_jobs_plan, job_transactions_unsettled.
SELECT (SELECT extract(epoch FROM {s}.job_now() - min(c.next_run_at))::double precision FROM {s}.cron_jobs AS c
        WHERE c.enabled AND c.invalid_reason IS NULL AND c.next_run_at < {s}.job_now()) AS tick_lag_seconds,
       (SELECT count(*) FROM {s}.job_workers AS w WHERE w.status = 'ACTIVE' AND w.lease_until > {s}.job_now()) AS workers,
       (SELECT count(*) FROM {s}.job_in_doubt AS d) AS in_doubt,
       (SELECT extract(epoch FROM max(d.age))::double precision FROM {s}.job_in_doubt AS d) AS in_doubt_seconds;
