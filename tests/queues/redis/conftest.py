"""One server for the tests that don't harm theirs."""

from collections.abc import Iterator

import pytest

from tests.queues.servers.redis import RedisServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), persistent=True) as server:
        yield server
