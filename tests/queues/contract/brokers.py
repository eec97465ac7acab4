"""The drivers that the suite runs over."""

from collections.abc import Mapping

from tests.queues.contract.adapter import Broker
from tests.queues.contract.amqp import Amqp
from tests.queues.contract.memory import Memory
from tests.queues.contract.redis import Redis
from tests.queues.contract.sqs import Sqs

BROKERS: Mapping[str, type[Broker]] = {"memory": Memory, "redis": Redis, "amqp": Amqp, "sqs": Sqs}
