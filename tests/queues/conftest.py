"""Servers that the tests of one driver share with the suite of all."""

from collections.abc import Iterator

import pytest

from tests.queues.servers.shared import SharedRabbit, shared_folder
from tests.queues.servers.sqs import SqsServer


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRabbit]:
    """For whoever leaves the node as it is."""
    with SharedRabbit(shared_folder(tmp_path_factory.getbasetemp(), "rabbitmq")) as rabbit:
        yield rabbit


@pytest.fixture(scope="session")
def sqs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqsServer]:
    with SqsServer(tmp_path_factory.mktemp("sqs")) as server:
        yield server


@pytest.fixture(scope="session")
def _breakable_rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRabbit]:
    with SharedRabbit(shared_folder(tmp_path_factory.getbasetemp(), "rabbitmq-to-break")) as rabbit:
        yield rabbit


@pytest.fixture
def breakable_rabbit(_breakable_rabbit: SharedRabbit) -> Iterator[SharedRabbit]:
    """A second node, for one test at a time."""
    with _breakable_rabbit.alone():
        yield _breakable_rabbit
