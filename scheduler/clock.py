"""The process's own clocks. Stored times never come from here: they are the database's (`job_now()`)."""

import time

monotonic = time.monotonic
"""Seconds on a clock that only goes forward; for durations and deadlines inside one process."""
