"""A LISTEN connection whose other side is gone without a word: S44."""

import asyncio
from collections.abc import Iterator

import pytest

from scheduler.model import Status
from scheduler.services import listener as listener_module
from scheduler.services.listener import Listener
from scheduler.services.loop import Loop
from scheduler.services.options import WorkerOptions
from scheduler.services.wakeups import Wakeups
from scheduler.store import notifications as notifications_module
from scheduler.store.notifications import Notifications
from scheduler.testing.fault_proxy import FaultProxy
from tests.services.line import LOOPS, PATIENCE_SECONDS, eventually, working
from tests.store.fixtures import events, line_url, tables
from tests.store.tables import Events, Tables

__all__ = ["events", "line_url", "tables"]

LISTENERS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'scheduler listener'
"""


@pytest.fixture
def proxy(tables: Tables) -> Iterator[FaultProxy]:
    with FaultProxy(tables.url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "PING_SECONDS", 0.1)
    monkeypatch.setattr(notifications_module, "ANSWER_SECONDS", 0.5)


async def work() -> None:
    pass


async def test_polling_finds_the_work_meanwhile_and_the_listener_connects_anew(
    tables: Tables, proxy: FaultProxy, events: Events
) -> None:
    def failed() -> bool:
        return any(event["loop"] == "listen" for event in events.of("loop.failed"))

    options = WorkerOptions(poll_interval_seconds=0.2)
    async with working(tables, options, loops=(*LOOPS, "listen"), listens_at=proxy.url, work=work) as line:
        await eventually(lambda: len(tables.column(LISTENERS)) == 1)
        before = tables.column(LISTENERS)
        proxy.freeze()
        for _ in range(5):
            assert await line.settled(tables.enqueue()) == [Status.SUCCESS]
        await eventually(failed)  # though nothing has ended the connection
        assert await line.settled(tables.enqueue()) == [Status.SUCCESS]
        proxy.thaw()
        await eventually(lambda: any(e["loop"] == "listen" for e in events.of("loop.recovered")))
        await eventually(lambda: len(tables.column(LISTENERS)) == 1 and tables.column(LISTENERS) != before)


@pytest.mark.parametrize("frozen_at", ["connected", "listen"])
async def test_what_is_notified_after_the_black_hole_rings(
    tables: Tables, proxy: FaultProxy, events: Events, frozen_at: str
) -> None:
    """Frozen while it waits, and while the server is to answer the very LISTEN."""
    wakeups = Wakeups()
    bell = wakeups.bell()
    listener = Listener(Notifications(proxy.url, "public"), wakeups)
    fault = proxy.freeze_before("LISTEN ") if frozen_at == "listen" else None
    loop = asyncio.create_task(Loop("listener", listener.round, sleeps=listener.sleeps).forever())
    try:
        if fault is not None:
            assert await asyncio.to_thread(fault.struck.wait, PATIENCE_SECONDS)
        else:
            assert await bell.wait(PATIENCE_SECONDS)
            proxy.freeze()
        await eventually(lambda: bool(events.of("loop.failed")))
        proxy.thaw()
        await eventually(lambda: bool(events.of("loop.recovered")))
        await eventually(lambda: len(tables.column(LISTENERS)) == 1)
        assert await bell.wait(PATIENCE_SECONDS)  # which tells of the gap
        tables.cron_job()
        assert await bell.wait(PATIENCE_SECONDS)
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await listener.notifications.close()
