"""What only a Redis does, beside the suite of all brokers."""
