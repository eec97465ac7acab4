"""The drivers that the suite runs over."""

from collections.abc import Mapping

from scheduler.queues.protocol import MessageQueue, QueueOptions
from tests.queues.contract.adapter import Broker
from tests.queues.contract.memory import Memory
from tests.queues.contract.redis import Redis

BROKERS: Mapping[str, type[Broker]] = {"memory": Memory, "redis": Redis}


def connect(kind: str, url: str, name: str, options: QueueOptions) -> MessageQueue:
    """A queue of a broker that another process has started."""
    match kind:
        case "redis":
            from scheduler.queues.redis import RedisMessageQueue

            return RedisMessageQueue(url, name, options)
        case _:
            raise ValueError(f"No queue of kind {kind} can be opened in another process.")
