"""What is asked for once, however many want it."""

import asyncio

import pytest

from scheduler.web.kept import Kept


def test_many_at_once_ask_once() -> None:
    asked = list[None]()

    async def ask() -> int:
        asked.append(None)
        await asyncio.sleep(0)
        return len(asked)

    async def many(kept: Kept[int]) -> list[int]:
        return [answer.value for answer in await asyncio.gather(*(kept.get(ask) for _ in range(5)))]

    assert asyncio.run(many(Kept(3_600))) == [1] * 5
    assert asyncio.run(many(Kept(0))) == [2, 3, 4, 5, 6]


def test_a_failure_is_not_kept() -> None:
    async def fail() -> int:
        raise OSError

    async def succeed() -> int:
        return 7

    async def both(kept: Kept[int]) -> int:
        with pytest.raises(OSError):  # noqa: PT011 - it has no words
            await kept.get(fail)
        return (await kept.get(succeed)).value

    assert asyncio.run(both(Kept(3_600))) == 7
