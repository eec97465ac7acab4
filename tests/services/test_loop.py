"""A loop survives whatever its rounds raise."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from scheduler.services import loop as loop_module
from scheduler.services.loop import Loop, first_line
from tests.store.tables import Events


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "FIRST_WAIT_SECONDS", 0.0001)
    monkeypatch.setattr(loop_module, "LONGEST_WAIT_SECONDS", 0.001)


async def run(body: Callable[[], Awaitable[None]], enough: asyncio.Event) -> Loop:
    """Run a loop until the body has had enough."""
    loop = Loop("test", body, sleeps=1.0)
    task = asyncio.create_task(loop.forever())
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return loop


class Body:
    """Fails as often as it is told, then goes well."""

    def __init__(self, failures: int) -> None:
        self.failures, self.rounds, self.enough = failures, 0, asyncio.Event()

    async def __call__(self) -> None:
        self.rounds += 1
        if self.rounds <= self.failures:
            raise ValueError(f"failure {self.rounds}\nand more of it")
        if self.rounds >= self.failures + 3:
            self.enough.set()
        await asyncio.sleep(0)


async def test_it_goes_on_after_any_number_of_failures(events: Events) -> None:
    body = Body(failures=30)
    loop = await run(body, body.enough)
    assert body.rounds >= 33
    assert loop.last_success is not None
    assert [values["error"] for values in events.of("loop.failed")] == ["failure 1"]
    assert len(events.of("loop.recovered")) == 1


async def test_a_failure_that_goes_on_is_said_again(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "REPEAT_SECONDS", 0.0)
    body = Body(failures=4)
    await run(body, body.enough)
    assert [values["error"] for values in events.of("loop.failed")] == [f"failure {n}" for n in (1, 2, 3, 4)]


async def test_what_goes_well_says_nothing(events: Events) -> None:
    body = Body(failures=0)
    await run(body, body.enough)
    assert events == []


async def test_a_timeout_of_the_bodys_own_ends_nothing() -> None:
    enough, rounds = asyncio.Event(), 0

    async def body() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            enough.set()
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    loop = await run(body, enough)
    assert loop.last_success is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\nb"), "a"),
        (ValueError("\n  a"), "a"),
        (ValueError(), "ValueError"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_in_one_line(error: Exception, line: str) -> None:
    assert first_line(error) == line
