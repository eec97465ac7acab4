"""reports: what a supervised worker says of itself from its event loop, and what it does when nobody listens."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

INTERVAL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Report:
    executions: int
    """Attempts that have begun since the start."""
    full: bool
    """Every slot is taken, and more than that is waiting here."""
    idle: bool
    """Nothing runs and nothing was found."""


class Reports:
    def __init__(self, descriptor: int, report: Callable[[], Report], orphaned: Callable[[], None]) -> None:
        """`orphaned` is called when the supervisor is gone."""
        os.set_blocking(descriptor, False)
        self._descriptor, self._report, self._orphaned = descriptor, report, orphaned

    async def round(self) -> None:
        line = json.dumps(asdict(self._report())) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except BlockingIOError:
            pass  # the supervisor is stopped; it will find more than enough reports
        except OSError:
            self._orphaned()
        await asyncio.sleep(INTERVAL_SECONDS)
