"""The drivers that the suite runs over."""

from collections.abc import Mapping

from scheduler.queues.protocol import MessageQueue, QueueOptions
from tests.queues.contract.adapter import Broker
from tests.queues.contract.amqp import Amqp
from tests.queues.contract.memory import Memory
from tests.queues.contract.redis import Redis
from tests.queues.contract.sqs import Sqs

BROKERS: Mapping[str, type[Broker]] = {"memory": Memory, "redis": Redis, "amqp": Amqp, "sqs": Sqs}


def connect(kind: str, url: str, name: str, options: QueueOptions) -> MessageQueue:
    """A queue of a broker that another process has started."""
    match kind:
        case "redis":
            from scheduler.queues.redis import RedisMessageQueue

            return RedisMessageQueue(url, name, options)
        case "amqp":
            from scheduler.queues.amqp import AmqpMessageQueue

            return AmqpMessageQueue(url, name, options)
        case "sqs":
            from scheduler.queues.sqs import SqsMessageQueue

            return SqsMessageQueue(url, name, options)
        case _:
            raise ValueError(f"No queue of kind {kind} can be opened in another process.")
