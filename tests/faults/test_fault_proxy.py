"""The proxy does what it says, before anything is proved with it."""

import time
from collections.abc import Iterator
from threading import Thread

import psycopg
import pytest

from scheduler.testing.fault_proxy import FaultProxy
from tests.faults.harness import PATIENCE_SECONDS


@pytest.fixture
def proxy(database_url: str) -> Iterator[FaultProxy]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE counted (n int)")
    with FaultProxy(database_url) as proxy:
        yield proxy


def counted(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM counted").fetchone()
    assert row is not None
    return int(row[0])


def test_it_passes_everything_on(proxy: FaultProxy, database_url: str) -> None:
    with psycopg.connect(proxy.url) as connection:
        connection.execute("INSERT INTO counted SELECT generate_series(1, 100000)")
        assert len(connection.execute("SELECT n FROM counted").fetchall()) == 100_000
    assert counted(database_url) == 100_000


def test_cut_before_keeps_the_statement_from_the_server(proxy: FaultProxy, database_url: str) -> None:
    fault = proxy.cut_before("INSERT INTO counted")
    with psycopg.connect(proxy.url, autocommit=True) as connection:
        connection.execute("SELECT 'another statement'")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("INSERT INTO counted VALUES (1)")
    assert fault.struck.is_set()
    assert counted(database_url) == 0


def test_drop_reply_lets_the_server_do_the_work(proxy: FaultProxy, database_url: str) -> None:
    fault = proxy.drop_reply("INSERT INTO counted")
    with psycopg.connect(proxy.url, autocommit=True) as connection, pytest.raises(psycopg.OperationalError):
        connection.execute("INSERT INTO counted VALUES (1)")
    assert fault.struck.is_set()
    assert counted(proxy.url) == counted(database_url) == 1  # it strikes once


def test_texts_are_met_in_their_order_on_one_connection(proxy: FaultProxy, database_url: str) -> None:
    proxy.drop_reply("INSERT INTO counted", "COMMIT")
    with psycopg.connect(proxy.url) as first:
        first.execute("SELECT 1")
        first.commit()
    with pytest.raises(psycopg.OperationalError), psycopg.connect(proxy.url) as second:
        second.execute("INSERT INTO counted VALUES (1)")
        second.commit()
    assert counted(database_url) == 1


def test_drop_reply_waits_for_the_answer_it_is_to_swallow(proxy: FaultProxy) -> None:
    fault = proxy.drop_reply("SELECT n", holding="wanted")
    with psycopg.connect(proxy.url, autocommit=True) as connection:
        assert connection.execute("SELECT n FROM (VALUES ('other')) AS v (n)").fetchone() == ("other",)
        assert not fault.struck.is_set()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT n FROM (VALUES ('wan' || 'ted')) AS v (n)")
    assert fault.struck.is_set()


def test_cut_ends_what_is_connected(proxy: FaultProxy) -> None:
    with psycopg.connect(proxy.url) as connection:
        assert proxy.cut() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_frozen_it_answers_nothing_until_it_thaws(proxy: FaultProxy, database_url: str) -> None:
    with psycopg.connect(proxy.url, autocommit=True) as connection:
        proxy.freeze()
        waiting = Thread(target=connection.execute, args=("INSERT INTO counted VALUES (1)",))
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        assert counted(database_url) == 0
        proxy.thaw()
        waiting.join(PATIENCE_SECONDS)
    assert counted(database_url) == 1


def test_without_a_server_behind_it_the_client_is_turned_away() -> None:
    with FaultProxy("postgresql://nobody@127.0.0.1:1/nothing") as proxy, pytest.raises(psycopg.OperationalError):
        psycopg.connect(proxy.url)


def test_freeze_before_holds_the_statement_itself_back(proxy: FaultProxy, database_url: str) -> None:
    fault = proxy.freeze_before("INSERT INTO counted")
    with psycopg.connect(proxy.url, autocommit=True) as connection:
        waiting = Thread(target=connection.execute, args=("INSERT INTO counted VALUES (1)",))
        waiting.start()
        assert fault.struck.wait(PATIENCE_SECONDS)
        assert counted(database_url) == 0
        proxy.thaw()
        waiting.join(PATIENCE_SECONDS)
    assert counted(database_url) == 1


def test_slow_it_delivers_everything_later(proxy: FaultProxy) -> None:
    with psycopg.connect(proxy.url, autocommit=True) as connection:
        proxy.slow(0.1)
        began = time.monotonic()
        connection.execute("INSERT INTO counted VALUES (1)")
        assert time.monotonic() - began >= 0.2  # there and back
        proxy.slow(0)
    assert counted(proxy.url) == 1


def test_what_was_withdrawn_does_not_happen(proxy: FaultProxy) -> None:
    fault = proxy.cut_before("INSERT INTO counted")
    proxy.withdraw(fault)
    proxy.withdraw(fault)
    with psycopg.connect(proxy.url, autocommit=True) as connection:
        connection.execute("INSERT INTO counted VALUES (1)")
    assert not fault.struck.is_set()
    assert counted(proxy.url) == 1


@pytest.mark.parametrize("kind", ["cut_before", "drop_reply"])
def test_a_prepared_statement_is_met_when_it_is_used(proxy: FaultProxy, database_url: str, kind: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as direct:
        direct.execute("CREATE TABLE IF NOT EXISTS noted (n integer)")
        with psycopg.connect(proxy.url, autocommit=True) as connection:
            for _ in range(3):
                connection.execute("INSERT INTO noted VALUES (%s)", [1], prepare=True)
            fault = getattr(proxy, kind)("INTO noted")
            connection.execute("SELECT 1")
            assert not fault.struck.is_set()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("INSERT INTO noted VALUES (%s)", [2], prepare=True)
            assert fault.struck.wait(5)
        row = direct.execute("SELECT count(*) FROM noted").fetchone()
    assert row == (3 if kind == "cut_before" else 4,)
