"""A process that receives messages, tells their ids, and does nothing more until it is killed."""

import asyncio
import sys

from scheduler.queues.protocol import QueueOptions
from tests.queues.contract.brokers import connect
from tests.queues.contract.waiting import receive


async def main(kind: str, url: str, name: str, count: str) -> None:
    queue = connect(kind, url, name, QueueOptions(visibility_seconds=2.0))
    for delivery in await receive(queue, int(count)):
        print(delivery.id, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
