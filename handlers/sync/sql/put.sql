-- An attempt whose outcome was lost is tried again, and must not order twice.
INSERT INTO outbox (id, body) VALUES (:order, :body) ON CONFLICT (id) DO NOTHING
