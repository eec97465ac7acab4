"""Who waits, who gives up waiting, and whose answers get lost."""

import asyncio
import gc
from contextlib import nullcontext

import pytest
import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from scheduler.errors import BrokerError
from scheduler.queues.protocol import QueueStats
from scheduler.queues.redis import queue as module
from tests.queues.contract.waiting import receive, until
from tests.queues.redis.opening import opened
from tests.queues.servers.front import front
from tests.queues.servers.redis import RedisServer


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


@pytest.mark.parametrize("steps", range(0, 40, 3))
async def test_one_that_is_closed_while_it_connects_leaves_no_connection(server: RedisServer, steps: int) -> None:
    """A connection that is left would be told of by the collector, as a warning that fails this test."""
    async with opened(server.url) as queue:
        waiting = [asyncio.create_task(queue.receive(1, wait=3600.0)) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ended] == [BrokerError] * 3
    del queue
    gc.collect()


async def test_any_number_may_ask_at_once(server: RedisServer) -> None:
    """A crowd that waits for messages keeps nobody from publishing them."""
    async with opened(server.url, "crowded") as queue:
        waiting = [asyncio.create_task(receive(queue)) for _ in range(200)]
        published = await asyncio.gather(*(queue.publish(b"%d" % number) for number in range(200)))
        found = [delivery.id for [delivery] in await asyncio.gather(*waiting)]
        assert sorted(found) == sorted(published)


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
