"""What only a Redis does: refuse, run full, be a replica, wake who waits, and lose what it was not told to keep."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest
import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from scheduler.errors import BrokerError, ConfigurationError
from scheduler.queues.protocol import QueueOptions, QueueStats
from scheduler.queues.redis import RedisMessageQueue
from scheduler.queues.redis import queue as module
from scheduler.queues.redis.layout import keys_of
from tests.queues.contract.waiting import receive, until, until_done
from tests.queues.servers.certificates import Certificates, write_certificates
from tests.queues.servers.front import front
from tests.queues.servers.ports import free_port
from tests.queues.servers.redis import RedisServer, binaries

_names = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), persistent=True) as server:
        yield server


@asynccontextmanager
async def opened(url: str, name: str | None = None, **options: object) -> AsyncIterator[RedisMessageQueue]:
    queue = RedisMessageQueue(url, name or f"queue-{next(_names)}", QueueOptions(**options))  # type: ignore[arg-type]  # as QueueOptions has them
    try:
        yield queue
    finally:
        await queue.close()


async def refused(url: str) -> str:
    async with opened(url) as queue:
        with pytest.raises(BrokerError) as caught:
            await queue.publish(b"1")
        with pytest.raises(BrokerError):
            await queue.receive(1, wait=1.0)
    return str(caught.value)


async def test_a_wrong_password_is_told_and_not_repeated(tmp_path: Path) -> None:
    with RedisServer(tmp_path, more=["--requirepass", "right"]) as server:
        wrong = await refused(f"redis://:wrong-password@127.0.0.1:{server.port}/0")
        none = await refused(server.url)
        async with opened(f"redis://default:right@127.0.0.1:{server.port}/0") as queue:
            await queue.publish(b"1")
    assert "refuses user or password" in wrong
    assert "refuses user or password" in none
    assert "wrong-password" not in wrong
    assert f"127.0.0.1:{server.port}/0" in wrong


async def test_a_user_without_rights_is_told_which(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser("stranger", enabled=True, passwords=["+secret"], keys=["mine*"], categories=["+@all"])
    said = await refused(f"redis://stranger:secret@127.0.0.1:{server.port}/0")
    assert "lacks a right" in said


async def test_as_few_rights_as_the_page_says_are_enough(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser(
            "modest",
            enabled=True,
            passwords=["+secret"],
            keys=["modest", "{modest}:*"],
            categories=["+@list", "+@sortedset", "+@hash", "+@scripting"],
            commands=["+info", "+time"],
        )
    async with opened(f"redis://modest:secret@127.0.0.1:{server.port}/0", name="modest") as queue:
        await queue.publish(b"1", delay=0.01)
        [delivery] = await receive(queue)
        await queue.nack(delivery, delay=0.01)
        await queue.ack(await receive(queue))
        assert await queue.health() == []


async def test_nobody_answers() -> None:
    port = free_port()
    said = await refused(f"redis://:secret@127.0.0.1:{port}/0")
    assert f"127.0.0.1:{port}/0 can't be reached" in said
    assert "secret" not in said


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis://localhost:port", ""])
def test_an_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://"):
        RedisMessageQueue(url, "tasks")


@pytest.mark.parametrize("name", ["", "a}b", "a{b", "{}a", "a{}"])
def test_a_name_that_no_cluster_could_keep_together_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="hash tag"):
        keys_of(name)


@pytest.mark.parametrize("name", ["tasks", "a b", "ключ", "{shop}:orders", "eu{shop}", "a:{b}{c}"])
def test_the_keys_of_a_queue_are_in_one_slot(name: str) -> None:
    assert keys_of(name)[0] == name
    assert len({key_slot(key.encode()) for key in keys_of(name)}) == 1
    assert len(set(keys_of(name))) == 5


async def test_a_node_of_a_cluster_takes_every_script(tmp_path: Path) -> None:
    with RedisServer(tmp_path, more=["--cluster-enabled", "yes", "--cluster-port", str(free_port())]) as server:
        with server.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        async with opened(server.url, name="{shop}:orders") as queue:
            await until_done(lambda: queue.publish(b"1"), BrokerError)  # it takes a moment to be a cluster
            await queue.publish(b"2", delay=600)
            [delivery] = await receive(queue)
            await queue.extend([delivery])
            await queue.nack(delivery)
            await queue.ack(await receive(queue))
            assert await queue.stats() == QueueStats(waiting=0, delayed=1, in_flight=0, dead=0)


@pytest.mark.parametrize("kind", binaries())
async def test_it_works_on_redis_and_on_valkey(tmp_path: Path, kind: str) -> None:
    with RedisServer(tmp_path, binary=binaries()[kind]) as server:
        async with opened(server.url, max_deliveries=1) as queue:
            await queue.publish(b"1")
            [delivery] = await receive(queue)
            await queue.nack(delivery)
            assert await queue.stats() == QueueStats(waiting=0, delayed=0, in_flight=0, dead=1)


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


async def test_a_key_of_another_kind_is_told(server: RedisServer) -> None:
    with server.client() as client:
        client.set("not-a-list", "x")
    async with opened(server.url, name="not-a-list") as queue:
        with pytest.raises(BrokerError, match="another name"):
            await queue.publish(b"1")


@pytest.mark.parametrize("key", [":taken", ":held", ":dead"])
async def test_a_key_of_another_kind_beside_it_costs_no_message(server: RedisServer, key: str) -> None:
    """A script that fails half-way is not undone: it has to fail before it moves anything."""
    async with opened(server.url) as queue:
        await queue.publish(b"1")
        with server.client() as client:
            client.set(f"{{{queue.name}}}{key}", "x")
            with pytest.raises(BrokerError, match="another name"):
                await queue.receive(1, wait=0.0)
            client.delete(f"{{{queue.name}}}{key}")
        assert len(await receive(queue)) == 1


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


async def test_a_push_from_elsewhere_wakes_one_who_waits(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait on the server, so that no look of theirs finds it; who comes too late goes on waiting."""
    monkeypatch.setattr(module, "_LOOK_SECONDS", 10.0)
    with server.client() as client:
        async with opened(server.url, "woken") as first, opened(server.url, "woken") as second:
            waiting = [asyncio.create_task(each.receive(1, wait=3600.0)) for each in (first, second)]
            await until(lambda: _blocked(client, 2))
            client.rpush("woken", b'{"from": "elsewhere"}')
            done, still = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            [[delivery]] = [task.result() for task in done]
            assert (delivery.body, delivery.foreign) == (b'{"from": "elsewhere"}', True)
            await until(lambda: _blocked(client, 1))
            client.lpush("woken", b"2")
            assert [found.body for found in await still.pop()] == [b"2"]


async def _blocked(client: redis.Redis, count: int) -> bool:
    return bool(client.info("clients")["blocked_clients"] == count)


async def test_what_was_under_way_to_a_cancelled_receiver_goes_back(server: RedisServer) -> None:
    """The server answers a question whose asker has gone: as if it had never been asked."""
    with server.client() as client:
        async with opened(server.url, "unseen") as queue:
            await queue.publish(b"1", id="first")
            await queue.publish(b"2", id="second")
            client.client_pause(600_000, all=False)  # questions that write wait
            receiving = asyncio.create_task(queue.receive(1, wait=0.0))
            await until(lambda: _paused(client))
            receiving.cancel()
            client.client_unpause()
            with pytest.raises(asyncio.CancelledError):
                await receiving
            found = await receive(queue, 2)
            assert [(each.id, each.deliveries) for each in found] == [("first", 1), ("second", 1)]


async def _paused(client: redis.Redis) -> bool:
    """Whether the script has come to the server, which keeps its sender waiting."""
    return any(each["cmd"] == "evalsha" and "b" in each["flags"] for each in client.client_list())


async def test_a_pop_like_others_do_it_loses_what_a_dead_receiver_held(server: RedisServer) -> None:
    """The broken variant of what the contract suite asks: the same fault, and a receiver that only pops."""
    async with opened(server.url, "popped") as queue:
        await queue.publish(b"1")
        with server.client() as client:
            assert client.blpop(["popped"], 5) is not None
        assert await queue.stats() == QueueStats(0, 0, 0, 0)


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


async def test_tls_with_certificates_of_both_sides(server: RedisServer, tmp_path: Path) -> None:
    ours, others = write_certificates(tmp_path / "ours"), write_certificates(tmp_path / "others")

    def url(authority: Certificates, client: Certificates | None) -> str:
        shown = f"&ssl_certfile={client.client}&ssl_keyfile={client.client_key}" if client else ""
        return f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.authority}{shown}"

    async with front(server.port, tls=ours.server_context()) as secured:
        port = secured.port
        async with opened(url(ours, ours)) as queue:
            await queue.publish(b"1")
            assert [delivery.body for delivery in await receive(queue)] == [b"1"]
        assert "certificate verify failed" in await refused(url(others, ours))
        await refused(url(ours, None))
        await refused(url(ours, others))
        await refused(f"redis://127.0.0.1:{port}/0")


@pytest.mark.parametrize("careless", [False, True], ids=["as it is", "broken: a client that repeats by itself"])
async def test_a_lost_answer_is_told_and_nothing_is_done_twice(server: RedisServer, careless: bool) -> None:
    """Whether to do it again, who publishes decides, and does it with the same id."""
    name = f"answer-lost-{careless}"
    async with front(server.port) as between, opened(f"redis://127.0.0.1:{between.port}/0", name) as queue:
        if careless:
            queue._client.set_retry(Retry(NoBackoff(), 2))
        await queue.stats()
        between.loses_an_answer = True
        with nullcontext() if careless else pytest.raises(BrokerError, match="can't be reached"):
            await queue.publish(b"1", id="order-1")
        assert not between.loses_an_answer
        assert (await queue.stats()).waiting == (2 if careless else 1)


async def test_a_dead_letter_moved_back_has_one_more_try(server: RedisServer) -> None:
    """As docs/message-queues.md says, with a command of Redis."""
    async with opened(server.url, "again", max_deliveries=2) as queue:
        await queue.publish(b"1", id="poison")
        [delivery] = await receive(queue)
        await queue.nack(delivery, dead="It is not JSON.")
        with server.client() as client:
            assert b"It is not JSON." in client.lrange("{again}:dead", 0, 9)[0]
            client.lmove("{again}:dead", "again", "LEFT", "RIGHT")
        [delivery] = await receive(queue)
        assert (delivery.id, delivery.body, delivery.deliveries) == ("poison", b"1", 2)
        await queue.nack(delivery)
        [letter] = await queue.dead_letters()
        assert letter.reason == "Delivered 2 times and never acked."
