"""A client of SQS that is made when it is needed, and the urls of a queue and of its dead letters."""

import json
from asyncio import Lock
from contextlib import AsyncExitStack
from functools import cache
from typing import TYPE_CHECKING

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import ClientError

from scheduler.queues.protocol import QueueOptions
from scheduler.queues.sqs.failures import is_absent
from scheduler.queues.sqs.messages import LONGEST_VISIBILITY_SECONDS

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.literals import QueueAttributeNameType

LONGEST_POLL_SECONDS = 20
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = LONGEST_POLL_SECONDS + 10.0
_TRIES = 3
_CONNECTIONS = 50
_RETENTION_SECONDS = 14 * 86_400
_LARGEST_BYTES = 1_048_576
"""More than a message of ours has: attributes, and base64 where it is no text, come on top."""

FIFO = ".fifo"


class Connection:
    """`url` is the endpoint where it isn't AWS's own; credentials and the region come from where AWS's tools look."""

    def __init__(self, url: str | None, region: str | None, name: str, options: QueueOptions) -> None:
        self._endpoint, self._region = url, region
        self._name, self._options = name, options
        self._stack = AsyncExitStack()
        self._opening = Lock()
        self._client: SQSClient | None = None
        self.queue = ""
        """Its url, once it is known."""
        self.dead = ""
        """That of its dead letters: of its own redrive policy, or named after it."""

    async def client(self) -> "SQSClient":
        async with self._opening:
            client = self._client or await self._connect()
            if not self.queue:
                queue = await self._queue(client, self._name)
                self.dead = await self._dead_queue(client, queue)
                self.queue = queue
            return client

    def forget(self) -> None:
        """Look for the queue again, and make it where it isn't there."""
        self.queue = self.dead = ""

    async def close(self) -> None:
        await self._stack.aclose()

    async def _connect(self) -> "SQSClient":
        config = AioConfig(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            max_pool_connections=_CONNECTIONS,
        )
        creating = session().create_client("sqs", region_name=self._region, endpoint_url=self._endpoint, config=config)
        client: SQSClient = await self._stack.enter_async_context(creating)
        self._client = client
        return client

    async def _queue(self, client: "SQSClient", name: str) -> str:
        try:
            return (await client.get_queue_url(QueueName=name))["QueueUrl"]
        except ClientError as error:
            if not is_absent(error):
                raise
        seconds = min(max(round(self._options.visibility_seconds), 1), LONGEST_VISIBILITY_SECONDS)
        attributes: dict[QueueAttributeNameType, str] = {
            "VisibilityTimeout": str(seconds),
            "MessageRetentionPeriod": str(_RETENTION_SECONDS),
            "MaximumMessageSize": str(_LARGEST_BYTES),
        }
        if name.endswith(FIFO):
            attributes["FifoQueue"] = "true"
        return (await client.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]

    async def _dead_queue(self, client: "SQSClient", queue: str) -> str:
        answer = await client.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])
        policy = json.loads(answer.get("Attributes", {}).get("RedrivePolicy") or "{}")
        if target := policy.get("deadLetterTargetArn"):
            *_, account, name = target.split(":")
            return (await client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account))["QueueUrl"]
        return await self._queue(client, dead_name(self._name))


@cache
def session() -> AioSession:
    """One for all queues: it reads AWS's descriptions, some megabytes, and looks for the credentials."""
    return get_session()


def dead_name(name: str) -> str:
    stem = name.removesuffix(FIFO)
    return f"{stem}-dead{name[len(stem) :]}"
