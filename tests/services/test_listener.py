"""The listener rings when the database notifies, and after every gap."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from scheduler.services import listener as listener_module
from scheduler.services.listener import Listener
from scheduler.services.wakeups import Bell, Wakeups
from scheduler.store.notifications import Notifications
from tests.doctor.pooler import Pooler
from tests.pgbouncer import PgBouncer, needs_pgbouncer
from tests.store.tables import Tables

LISTENING = """SELECT pid FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'scheduler listener'"""


@pytest.fixture
async def notifications(tables: Tables) -> AsyncIterator[Notifications]:
    notifications = Notifications(tables.url, "public")
    yield notifications
    await notifications.close()


@pytest.fixture
def wakeups() -> Wakeups:
    return Wakeups()


@pytest.fixture
def bell(wakeups: Wakeups) -> Bell:
    return wakeups.bell()


@pytest.fixture
async def listener(notifications: Notifications, wakeups: Wakeups, bell: Bell) -> Listener:
    """It listens, and what it rang on opening is heard."""
    listener = Listener(notifications, wakeups)
    await listener.round()
    assert await bell.wait(0)
    return listener


async def test_an_edit_of_a_cron_job_rings(listener: Listener, tables: Tables, bell: Bell) -> None:
    tables.cron_job()
    await listener.round()
    assert await bell.wait(0)


async def test_an_execution_rings_while_a_worker_sleeps(listener: Listener, tables: Tables, bell: Bell) -> None:
    worker = tables.worker()
    tables.enqueue()  # nobody sleeps: nothing is notified
    tables.execute("UPDATE job_workers SET wake_until = job_now() + interval '1 minute' WHERE id = %s", worker)
    tables.enqueue()
    await listener.round()
    assert await bell.wait(0)


async def test_a_cancel_of_what_runs_rings(listener: Listener, tables: Tables, bell: Bell) -> None:
    id_, _ = tables.running()
    tables.execute("SELECT cancel_job(%s)", id_)
    await listener.round()
    assert await bell.wait(0)


async def test_silence_rings_nothing(
    listener: Listener, bell: Bell, monkeypatch: pytest.MonkeyPatch, tables: Tables
) -> None:
    monkeypatch.setattr(listener_module, "PING_SECONDS", 0.01)
    await listener.round()
    assert not await bell.wait(0)


async def test_a_connection_that_ended_is_opened_anew_and_rings(listener: Listener, tables: Tables, bell: Bell) -> None:
    (pid,) = tables.column(LISTENING)
    assert tables.value("SELECT pg_terminate_backend(%s, 5000)", pid)
    with pytest.raises(psycopg.OperationalError):
        await listener.round()
    assert not await bell.wait(0)
    await listener.round()  # something may have been missed
    assert await bell.wait(0)
    tables.cron_job()
    await listener.round()
    assert await bell.wait(0)


async def test_many_notifications_are_one_look_or_more_and_none_is_left_to_wake_nobody(
    listener: Listener, tables: Tables, bell: Bell
) -> None:
    for _ in range(20):
        tables.cron_job()
    await listener.round()
    assert await bell.wait(0)
    tables.cron_job()
    await listener.round()
    assert await bell.wait(0)


async def test_another_schema_is_none_of_its_business(tables: Tables, notifications: Notifications) -> None:
    assert notifications.channel == tables.value("SELECT job_channel()")
    assert Notifications(tables.url, "other").channel != notifications.channel


async def test_behind_a_pooler_in_transaction_mode_it_says_once_that_it_hears_nothing(
    tables: Tables, wakeups: Wakeups, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "PING_SECONDS", 0.01)
    with Pooler(tables.url, "transaction") as pooler:
        notifications = Notifications(pooler.url, "public")
        listener = Listener(notifications, wakeups)
        for _ in range(3):
            await listener.round()
        await notifications.close()
    assert notifications.deaf
    assert [record.event for record in caplog.records] == ["listener.deaf"]  # type: ignore[attr-defined]


@needs_pgbouncer
async def test_a_pooler_in_session_mode_lets_it_hear(tables: Tables, wakeups: Wakeups, bell: Bell) -> None:
    with PgBouncer(tables.url, "session") as bouncer:
        notifications = Notifications(bouncer.url, "public")
        async with asyncio.timeout(60):
            listener = Listener(notifications, wakeups)
            await listener.round()
            assert await bell.wait(0)
            tables.cron_job()
            await listener.round()
            assert await bell.wait(0)
            await notifications.close()
        assert not notifications.deaf
