-- In production, a migration of yours makes this table.
CREATE TABLE IF NOT EXISTS outbox (id bigint PRIMARY KEY, body text)
