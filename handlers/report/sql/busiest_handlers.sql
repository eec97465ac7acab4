-- What ran in the last 24 hours: how often, how long on average, and how much of it failed.
SELECT handler_name AS handler, count(*) AS executions,
       round(avg(extract(epoch FROM finished_at - started_at)), 3) AS average_seconds,
       count(*) FILTER (WHERE status IN ('FAILED', 'TIMEOUT')) AS failed
FROM job_history
WHERE finished_at > job_now() - interval '24 hours' AND status <> 'SKIPPED'
GROUP BY handler_name
ORDER BY executions DESC, handler
LIMIT :largest
