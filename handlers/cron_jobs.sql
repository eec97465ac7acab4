-- The cron jobs of `./dev run`: something happens every few seconds, each at seconds of its own. Change and remove them at will.
INSERT INTO cron_jobs (name, cron_expression, handler_name, handler_params, description) VALUES
('order',         '1/10 * * * * *',  'order',       '{"customer": "Ada", "amount": 12.5}',          'An order comes in: a row of outbox.'),
('sync',          '6/10 * * * * *',  'sync',        '{}',                                           'From outbox to inbox in the database business.'),
('report',        '*/15 * * * * *',  'report',      '{"query": "largest_tables"}',                  'A CSV file in reports/.'),
('busiest',       '8/30 * * * * *',  'report',      '{"query": "busiest_handlers"}',                'Another one.'),
('email',         '3/15 * * * * *',  'email',       '{"to": "ada@example.com", "subject": "Hi"}',   'An .eml file in outbox/, or SMTP.'),
('maintenance',   '12/20 * * * * *', 'maintenance', '{"tables": ["cron_jobs", "job_executions"]}',  'ANALYZE of two tables.'),
('old reports',   '4/20 * * * * *',  'cleanup',     '{"folder": "reports", "older_than_days": 0.001}', 'Deletes what is older than 86 s.'),
('old mails',     '14/20 * * * * *', 'cleanup',     '{"folder": "outbox", "older_than_days": 0.001}',  'The same for the mails.')
ON CONFLICT (name) DO NOTHING;
