"""One broker a driver and pytest process; queues of fresh names, closed with their test."""

from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest

from scheduler.queues.protocol import MessageQueue, QueueOptions
from tests.queues.contract.adapter import Broker
from tests.queues.contract.brokers import BROKERS

Open = Callable[..., MessageQueue]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out, by name and on purpose, what a broker can't do: `@pytest.mark.needs("ttl")`."""
    beyond = [item for item in items if _is_beyond(item)]
    config.hook.pytest_deselected(items=beyond)
    items[:] = [item for item in items if item not in beyond]


def _is_beyond(item: pytest.Item) -> bool:
    """pytest asks about the items of all folders; only those here have the mark."""
    needs = {feature for mark in item.iter_markers("needs") for feature in mark.args}
    return bool(needs) and not needs.isdisjoint(BROKERS[item.callspec.params["kind"]].lacks)  # type: ignore[attr-defined]  # of functions with params


@pytest.fixture(scope="session", params=BROKERS)
def kind(request: pytest.FixtureRequest) -> str:
    """The driver's kind, as the settings name it."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def broker(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with BROKERS[kind](tmp_path_factory.mktemp(kind)) as broker:
        yield broker


@pytest.fixture
def moment(broker: Broker) -> float:
    """Seconds: the shortest time that this broker can keep to."""
    return broker.moment


@pytest.fixture
def name() -> str:
    return f"queue-{uuid4().hex}"


@pytest.fixture
async def open_queue(broker: Broker, name: str) -> AsyncIterator[Open]:
    """`open_queue(visibility_seconds=1)`: handles to one and the same queue, each with options of its own."""
    opened: list[MessageQueue] = []

    def open_it(**options: object) -> MessageQueue:
        queue = broker.open(name, QueueOptions(**options))  # type: ignore[arg-type]  # as QueueOptions has them
        opened.append(queue)
        return queue

    yield open_it
    for queue in opened:
        await queue.close()
