"""Real brokers for tests: each of its own port and folder, ended with the process that started it."""
