"""What a worker and a consumer are told, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """See the settings of the same names.

    `tells_more_waits`: others may be started when more waits than this worker can take.
    """

    queues: Sequence[str] = ("default",)
    pool_size: int = 5
    poll_interval_seconds: float = 5.0
    claim_batch_size: int = 10
    claim_batch_max: int = 500
    lease_seconds: float = 30.0
    tells_more_waits: bool = False


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """See the settings of the same names. `needs`: the message queues and consumers that must be up first."""

    name: str
    queue: str
    handler: str
    concurrency: int = 1
    prefetch: int = 10
    needs: Sequence[str] = ()
    visibility_seconds: float = 60.0
    """How long a message that was received is its own, unless extended."""
