"""Handlers in processes of their own, for the projects of tests that are about those."""

import os
import time
from pathlib import Path

from scheduler import current_execution, handler


@handler("stubborn", run_in="process", timeout=0.5, max_retry=1)
def stubborn() -> None:
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            os.getpid()


@handler("patient", run_in="process")
def patient() -> int:
    """Leaves a file `patient-<id>` when it has begun."""
    Path(f"patient-{current_execution().id}").touch()
    time.sleep(0.7)
    return os.getpid()
