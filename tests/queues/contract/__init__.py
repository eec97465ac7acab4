"""What each driver has to do, tried against its real broker.

A driver joins by an adapter (`Broker` in adapter.py) in a file of its own, and a line in `BROKERS` (brokers.py).
"""
