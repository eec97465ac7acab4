"""A process that receives messages, tells their ids, and does nothing more until it is killed."""

import asyncio
import sys
from typing import cast

from scheduler.queues.opening import Kind, QueuePlace, open_queue
from scheduler.queues.protocol import QueueOptions
from tests.queues.contract.waiting import receive


async def main(kind: Kind, url: str, name: str, seconds: float, count: int) -> None:
    options = QueueOptions(visibility_seconds=seconds)
    queue = open_queue(QueuePlace(name, kind, kind, url=url, endpoint=url, options=options))
    for delivery in await receive(queue, count):
        print(delivery.id, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    kind, url, name, seconds, count = sys.argv[1:]
    asyncio.run(main(cast(Kind, kind), url, name, float(seconds), int(count)))
