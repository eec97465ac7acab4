"""The keys of a queue: their names, their slot, and what they hold."""

from pathlib import Path

import pytest
from redis.crc import key_slot

from scheduler.errors import BrokerError, ConfigurationError
from scheduler.queues.protocol import QueueStats
from scheduler.queues.redis.layout import keys_of
from tests.queues.contract.waiting import receive, until_done
from tests.queues.redis.opening import opened
from tests.queues.servers.ports import free_port
from tests.queues.servers.redis import RedisServer, binaries


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
