"""A server in trouble: full, read-only, forgetful, killed."""

import asyncio
from pathlib import Path

import pytest
import redis

from scheduler.errors import BrokerError
from tests.queues.contract.waiting import receive, until, until_done
from tests.queues.redis.opening import opened
from tests.queues.servers.redis import RedisServer


async def test_a_full_server_refuses_what_comes_and_gives_what_it_has(tmp_path: Path) -> None:
    with RedisServer(tmp_path, more=["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]) as server:
        async with opened(server.url) as queue:
            sent = 0
            with pytest.raises(BrokerError, match="out of memory"):
                for _ in range(1000):
                    await queue.publish(b"x" * 100_000)
                    sent += 1
            assert any("nearly full" in sentence for sentence in await queue.health())
            held = await receive(queue, 2)
            await queue.extend(held)
            await queue.nack(held[1])
            await queue.nack(held[0], dead="none of ours")
            for _ in range(sent - 1):
                await queue.ack(await receive(queue))
            assert await queue.receive(1, wait=0.1) == []
            await queue.publish(b"x")


async def test_who_waits_at_a_full_server_goes_on_waiting(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, server.client() as client:
        async with opened(server.url) as queue:
            await queue.publish(b"1", delay=0.3)
            client.config_set("maxmemory", 1)
            [delivery] = await receive(queue)
            assert delivery.body == b"1"
            with pytest.raises(BrokerError, match="out of memory"):
                await queue.publish(b"2")


async def test_a_disk_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    """Redis takes no writes while it can't save: here a folder is where its file should be."""
    with RedisServer(tmp_path, more=["--save", "3600 1000000"]) as server, server.client() as client:
        async with opened(server.url) as queue:
            await queue.publish(b"1")
            (tmp_path / "dump.rdb").mkdir()
            client.bgsave()
            await until(lambda: _saved(client, "err"))
            with pytest.raises(BrokerError, match="can't save its data"):
                await queue.publish(b"2")
            (tmp_path / "dump.rdb").rmdir()
            client.bgsave()
            await until(lambda: _saved(client, "ok"))
            await queue.publish(b"3")
            assert len(await receive(queue, 2)) == 2


async def _saved(client: redis.Redis, how: str) -> bool:
    return bool(client.info("persistence")["rdb_last_bgsave_status"] == how)


async def test_a_replica_is_told_and_a_failover_is_survived(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "a") as primary, RedisServer(tmp_path / "b") as server, server.client() as client:
        async with opened(server.url) as queue:
            await queue.publish(b"1")
            client.replicaof("127.0.0.1", str(primary.port))
            with pytest.raises(BrokerError, match=r"replica|loads|can't be reached"):
                await queue.publish(b"2")
            assert any("replica" in each for each in await until_done(queue.health, BrokerError))
            client.replicaof("NO", "ONE")
            await until_done(lambda: queue.publish(b"3", id="after"), BrokerError)


async def test_scripts_that_the_server_forgot_are_sent_again(server: RedisServer) -> None:
    async with opened(server.url) as queue:
        await queue.publish(b"1")
        with server.client() as client:
            client.script_flush()
        await queue.publish(b"2")
        assert len(await receive(queue, 2)) == 2


async def test_what_may_lose_messages_is_told(tmp_path: Path) -> None:
    with RedisServer(tmp_path, more=["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]) as server:
        async with opened(server.url, name="kept") as kept, opened(server.url, name="lost", durable=False) as lost:
            both = await kept.health()
            [evicting] = await lost.health()
    assert "maxmemory-policy is allkeys-lru" in evicting
    assert both[0] == evicting
    assert "appendonly yes" in both[1]


async def test_a_healthy_server_needs_nothing(server: RedisServer) -> None:
    async with opened(server.url) as queue:
        assert await queue.health() == []


@pytest.mark.parametrize("persistent", [True, False], ids=["with AOF", "broken: without"])
async def test_a_server_that_is_killed_keeps_what_it_confirmed(tmp_path: Path, persistent: bool) -> None:
    with RedisServer(tmp_path, persistent=persistent) as server:
        async with opened(server.url, visibility_seconds=0.5) as queue, opened(server.url, queue.name) as publisher:
            confirmed: list[str] = []

            async def publish() -> None:
                while True:
                    confirmed.append(await publisher.publish(b"1"))

            publishing = asyncio.create_task(publish())
            held = await receive(queue, 5)
            await queue.ack(held[:2])
            server.kill()
            with pytest.raises(BrokerError):
                await publishing
            server.start()
            expected = set(confirmed) - {delivery.id for delivery in held[:2]}
            found: set[str] = set()
            while not expected <= found:
                deliveries = await until_done(lambda: queue.receive(100, wait=2.0), BrokerError)
                if not deliveries and not persistent:
                    break
                found.update(delivery.id for delivery in deliveries)
                await queue.ack(deliveries)
    assert expected
    assert (expected <= found) is persistent
