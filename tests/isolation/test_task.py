"""Handlers as asyncio tasks."""

import asyncio
import sys
from typing import Any

import pytest

from scheduler.handlers import ExecutionContext, current_execution, declare
from scheduler.isolation import Isolation
from scheduler.isolation.task import TaskIsolation, context_in
from scheduler.testing.isolation_contract import Ended, IsolationContract, context, ended


class TestTask(IsolationContract):
    def make(self) -> Isolation:
        return TaskIsolation()


async def test_tasks_that_a_handler_starts_see_its_execution() -> None:
    async def look() -> int:
        return current_execution().id

    async def spread(params: dict[str, Any]) -> list[int]:
        return [await asyncio.create_task(look()), await asyncio.to_thread(lambda: current_execution().id)]

    running = TaskIsolation().start(declare("spread", spread, "here", {}), context(id=5))
    assert (await ended(running)).value == [5, 5]


async def test_a_handler_cleans_up_when_it_is_stopped() -> None:
    began, cleaned = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    running = TaskIsolation().start(declare("wait", wait, "here", {}), context())
    await began.wait()
    running.stop("timeout")
    assert await ended(running) == Ended(cancelled=True)
    assert cleaned.is_set()


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="Python 3.12 is the first that can")
async def test_what_waits_for_nothing_ends_in_its_first_step() -> None:
    async def timed() -> str:
        async with asyncio.timeout(1), asyncio.TaskGroup():
            return "in a task all the same"

    running = TaskIsolation().start(declare("timed", timed, "here", {}), context())
    assert running.future.done()
    assert (await ended(running)).value == "in a task all the same"


async def test_the_task_carries_the_name_of_its_handler() -> None:
    async def name() -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    assert (await ended(TaskIsolation().start(declare("email", name, "here", {}), context()))).value == "email"


async def test_who_keeps_the_loop_is_known_wherever_in_the_handler_it_is() -> None:
    found: list[ExecutionContext | None] = []

    def block() -> None:
        found.append(context_in(sys._getframe()))

    async def part() -> None:
        block()

    async def work() -> None:
        block()
        await part()
        await asyncio.gather(part(), part())
        asyncio.get_running_loop().call_soon(block)
        await asyncio.sleep(0)

    mine = context(id=7)
    await ended(TaskIsolation().start(declare("work", work, "here", {}), mine))
    assert found == [mine] * 5
    assert context_in(sys._getframe()) is None
    assert context_in(None) is None
