"""Bells: each sleeper has its own."""

import asyncio

from scheduler.services.wakeups import Wakeups


async def test_a_ring_wakes_everybody_but_who_rang() -> None:
    wakeups = Wakeups()
    mine, other = wakeups.bell(), wakeups.bell()
    wakeups.ring(but=mine)
    assert await other.wait(10)
    assert not await mine.wait(0)


async def test_a_ring_is_kept_until_it_is_heard_and_heard_once() -> None:
    bell = Wakeups().bell()
    bell.ring()
    bell.ring()
    assert await bell.wait(10)
    assert not await bell.wait(0.001)


async def test_a_sleeper_is_woken() -> None:
    bell = Wakeups().bell()
    sleeping = asyncio.create_task(bell.wait(10))
    await asyncio.sleep(0)
    bell.ring()
    assert await sleeping


async def test_a_wait_of_no_length_only_asks() -> None:
    bell = Wakeups().bell()
    assert not await bell.wait(0)
    bell.ring()
    assert await bell.wait(-1)
