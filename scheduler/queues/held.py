"""A message in the hands of a queue worker, and what becomes of it when its handler has ended."""

from dataclasses import dataclass

from scheduler.errors import FailPermanently, RetryLater
from scheduler.queues.nouns import QueueItem, WorkerConfig
from scheduler.queues.protocol import Delivery

_LONGEST_DELAY = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Two deliveries of one message are two of them."""

    delivery: Delivery
    item: QueueItem


@dataclass(frozen=True, slots=True)
class End:
    """How a call of the handler ended, after `seconds`."""

    held: Held
    error: BaseException | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Ack:
    """It is done."""


@dataclass(frozen=True, slots=True)
class Back:
    """It goes back to the queue, to be received after `delay` seconds at the earliest."""

    delay: float


@dataclass(frozen=True, slots=True)
class Dead:
    """It goes to the dead letter queue."""

    reason: str


Fate = Ack | Back | Dead


def fate(attempts: int, error: BaseException | None, config: WorkerConfig) -> Fate:
    """What becomes of a message that was delivered `attempts` times and whose handler ended so."""
    if error is None:
        return Ack()
    if isinstance(error, FailPermanently) or attempts > config.max_retries:
        return Dead(describe(error))
    if isinstance(error, RetryLater):
        return Back(max(0.0, error.delay))
    return Back(min(_LONGEST_DELAY, config.retry_delay * 2 ** (attempts - 1)))


def describe(error: BaseException) -> str:
    """An error in one line."""
    try:
        said = str(error).strip().partition("\n")[0]
    except Exception:
        said = ""
    name = type(error).__name__
    return f"{name}: {said}" if said else name
