"""The broker ends and comes back: what was published durably is there, and the same handles go on."""

import pytest

from scheduler.errors import BrokerError
from tests.queues.contract.adapter import Broker
from tests.queues.contract.conftest import Open
from tests.queues.contract.waiting import receive, until_done


@pytest.mark.needs("restart")
async def test_a_restart_loses_nothing(open_queue: Open, broker: Broker) -> None:
    queue = open_queue(visibility_seconds=2.0)
    published = {await queue.publish(b"%d" % number) for number in range(5)}
    assert {delivery.id for delivery in await receive(queue, 2)} < published
    broker.stop()
    try:
        for attempt in (queue.publish(b"lost"), queue.receive(1, wait=0.0), queue.stats(), queue.health()):
            with pytest.raises(BrokerError):
                await attempt
    finally:
        broker.start()
    published.add(await until_done(lambda: queue.publish(b"after", id="after"), BrokerError))
    found: set[str] = set()
    while found != published:
        deliveries = await until_done(lambda: receive(queue), BrokerError)
        found.update(delivery.id for delivery in deliveries)
        await queue.ack(deliveries)
