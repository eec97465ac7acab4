-- How much room each table takes, and how many rows live in it: Postgres' own estimate, for counting would read them all.
SELECT schemaname || '.' || relname AS "table", pg_total_relation_size(relid) AS bytes, n_live_tup AS live_rows
FROM pg_stat_user_tables
ORDER BY bytes DESC NULLS LAST, "table"
LIMIT :largest
