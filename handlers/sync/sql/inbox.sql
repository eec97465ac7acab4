CREATE TABLE IF NOT EXISTS inbox (id bigint PRIMARY KEY, body text)
