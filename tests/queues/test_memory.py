"""A queue in memory, used by several threads and event loops at once."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from scheduler.queues.memory import MemoryBroker, MemoryQueue
from scheduler.queues.protocol import QueueOptions, QueueStats
from tests.queues.contract.waiting import receive

RECEIVERS = 3
PUBLISHED = 3000


def test_threads_with_loops_of_their_own_share_it() -> None:
    broker, begin = MemoryBroker(), Barrier(RECEIVERS + 1)
    found: Counter[str] = Counter()

    async def publish() -> list[str]:
        queue = MemoryQueue("shared", broker=broker)
        begin.wait()
        return [await queue.publish(b"1") for _ in range(PUBLISHED)]

    async def work() -> None:
        queue = MemoryQueue("shared", broker=broker)
        begin.wait()
        while found.total() < PUBLISHED:
            deliveries = await queue.receive(5, wait=0.2)
            found.update(delivery.id for delivery in deliveries)
            await queue.ack(deliveries)

    with ThreadPoolExecutor(RECEIVERS + 1) as threads:
        working = [threads.submit(asyncio.run, work()) for _ in range(RECEIVERS)]
        published = threads.submit(asyncio.run, publish()).result()
        for each in working:
            each.result()
    assert found == Counter(published)


def test_who_waits_in_another_loop_is_woken() -> None:
    broker = MemoryBroker()

    async def wait() -> bytes:
        [delivery] = await MemoryQueue("woken", broker=broker).receive(1, wait=3600.0)
        return delivery.body

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(asyncio.run, wait())
        asyncio.run(MemoryQueue("woken", broker=broker).publish(b"1"))
        assert waiting.result() == b"1"


async def test_a_loop_that_ended_while_waiting_is_in_nobodys_way() -> None:
    broker = MemoryBroker()

    async def wait() -> None:
        receiving = asyncio.create_task(MemoryQueue("left", broker=broker).receive(1, wait=3600.0))
        await asyncio.sleep(0)
        assert not receiving.done()

    await asyncio.to_thread(asyncio.run, wait())
    queue = MemoryQueue("left", broker=broker)
    await queue.publish(b"1")
    assert len(await receive(queue)) == 1


async def test_queues_of_one_name_meet_and_brokers_are_apart() -> None:
    name = "meeting-place"
    await MemoryQueue(name).publish(b"1")
    assert (await MemoryQueue(name).stats()).waiting == 1
    assert (await MemoryQueue(name, broker=MemoryBroker()).stats()).waiting == 0
    await MemoryQueue(name).ack(await MemoryQueue(name).receive(1, wait=0.0))


async def test_what_is_done_leaves_nothing_behind() -> None:
    """Extended and acked many times over, long before its time would have run out."""
    queue = MemoryQueue("lean", QueueOptions(visibility_seconds=3600.0), broker=MemoryBroker())
    for _ in range(1000):
        await queue.publish(b"1")
        deliveries = await queue.receive(1, wait=0.0)
        await queue.extend(deliveries)
        await queue.ack(deliveries)
    assert await queue.stats() == QueueStats(0, 0, 0, 0)
    assert len(queue._contents.deadlines) < 100
