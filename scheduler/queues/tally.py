"""What a queue worker has done, over all its runs. Written on the background loop, read from any thread."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from scheduler.clock import monotonic

ACTIVE_SECONDS = 60.0
"""Without a heartbeat for longer, a worker counts as inactive."""


@dataclass(slots=True)
class Tally:
    processed: int = 0
    failed: int = 0
    last_error: BaseException | None = None
    heartbeat_at: datetime | None = None
    _beaten: float = -inf

    def begin(self) -> None:
        self.last_error = None
        self.beat()

    def beat(self) -> None:
        self.heartbeat_at, self._beaten = datetime.now(UTC), monotonic()

    def is_fresh(self) -> bool:
        return monotonic() - self._beaten < ACTIVE_SECONDS
