"""One fork server for all tests of a module that leave it as it is."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from scheduler.isolation import process
from tests.isolation.processes import Pool, pool


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of the ladder follow at once."""
    for step in ("ASKED_SECONDS", "TERMINATED_SECONDS"):
        monkeypatch.setattr(process, step, 0.15)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_pool() -> AsyncIterator[Pool]:
    async with pool() as found:
        yield found


@pytest.fixture
def isolation(one_pool: Pool) -> Pool:
    """Without idle children."""
    one_pool.let_go()
    return one_pool
