"""The listener rings when the database notifies, and after every gap."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from scheduler.services import listener as listener_module
from scheduler.services.listener import Listener
from scheduler.services.wakeups import Bell, Wakeups
from scheduler.store.notifications import Notifications
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
