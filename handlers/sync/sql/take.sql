DELETE FROM outbox RETURNING id, body
