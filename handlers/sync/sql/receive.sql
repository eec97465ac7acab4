INSERT INTO inbox (id, body) VALUES (:id, :body) ON CONFLICT (id) DO NOTHING
