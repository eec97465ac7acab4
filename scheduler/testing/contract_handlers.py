"""The handlers of the isolation contract: by name, so that a process that imports this module finds them too.

Each is there as an `async def` and, with `_def` after its name, as a `def`. They signal to their test through FIFOs
and files in a folder that their params name.
"""

import asyncio
import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from scheduler.errors import CancelExecution, ControlFlow, FailPermanently, RetryLater, Snooze
from scheduler.handlers import BaseHandler, ExecutionContext, current_execution, handler

BEGAN, RELEASE, CALLED = "began", "release", "called"
DECISIONS: dict[str, ControlFlow] = {
    "retry": RetryLater(12.5, "not yet"),
    "fail": FailPermanently("never"),
    "snooze": Snooze(7.5),
    "cancel": CancelExecution("not needed"),
}

Body = TypeVar("Body", bound=Callable[..., Any])


class Folder(BaseModel):
    folder: Path


class Address(BaseModel):
    to: str
    copies: int = 1


def announce(folder: Path) -> None:
    """Say that the handler has begun. The test holds the FIFO open, so nothing waits here."""
    with (folder / BEGAN).open("w") as fifo:
        fifo.write(".")


def wait_for_release(folder: Path) -> None:
    """Wait for one byte."""
    descriptor = os.open(folder / RELEASE, os.O_RDONLY)
    try:
        os.read(descriptor, 1)
    finally:
        os.close(descriptor)


def in_both_forms(body: Body) -> Body:
    """Declare a body as an `async def` under its own name, and as a `def`."""

    @functools.wraps(body)
    async def form(*params: Any) -> Any:
        return body(*params)

    handler(body.__name__)(form)
    handler(f"{body.__name__}_def")(body)
    return body


@in_both_forms
def echo(params: dict[str, Any]) -> dict[str, Any]:
    return {"got": params}


@in_both_forms
def send(params: Address) -> list[Any]:
    return [type(params).__name__, params.to, params.copies]


@in_both_forms
def note(params: Folder) -> None:
    (params.folder / CALLED).touch()


@in_both_forms
def fail(params: Any) -> NoReturn:
    raise LookupError("nothing there")


@in_both_forms
def fail_badly(params: Any) -> NoReturn:
    raise ValueError("before \0 between \ud800 after")


@in_both_forms
def decide(params: dict[str, str]) -> NoReturn:
    raise DECISIONS[params["what"]]


@in_both_forms
def leave(params: Any) -> NoReturn:
    sys.exit("bye")


@in_both_forms
def interrupt(params: Any) -> NoReturn:
    raise KeyboardInterrupt


@in_both_forms
def stop_iteration(params: Any) -> NoReturn:
    raise StopIteration


@in_both_forms
def unstorable(params: Any) -> dict[str, object]:
    return {"fine": 1, "thing": object()}


@in_both_forms
def large(params: dict[str, str]) -> dict[str, str]:
    return {"back": params["text"]}


@in_both_forms
def look(params: Any) -> list[Any]:
    execution = current_execution()
    return [execution.id, execution.attempt, execution.params]


@in_both_forms
def report(params: Any) -> None:
    for part in range(5):
        current_execution().progress(part / 10, f"{part} of ten")


@in_both_forms
def time_left(params: Any) -> float:
    return current_execution().remaining()


@handler("hold")
async def hold(params: Folder) -> str:
    """Begins, and then listens to nothing until it is released."""
    announce(params.folder)
    released = asyncio.ensure_future(asyncio.to_thread(wait_for_release, params.folder))
    while not released.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(released)
    return "released"


@handler("hold_def")
def hold_def(params: Folder) -> str:
    announce(params.folder)
    wait_for_release(params.folder)
    return "released"


@handler("listen")
async def listen(params: Folder) -> None:
    """Begins, and then waits until it is asked to stop."""
    announce(params.folder)
    await asyncio.Event().wait()


@handler("listen_def")
def listen_def(params: Folder) -> None:
    announce(params.folder)
    while not current_execution().cancelled:
        Event().wait(0.002)


@handler("heed")
async def heed(params: Folder) -> str | None:
    """Begins, and finishes when it sees that it should."""
    announce(params.folder)
    while not current_execution().cancelled:  # noqa: ASYNC110 - a handler looks
        await asyncio.sleep(0.002)
    return current_execution().cancel_reason


@handler("heed_def")
def heed_def(params: Folder) -> str | None:
    announce(params.folder)
    while not current_execution().cancelled:
        Event().wait(0.002)
    return current_execution().cancel_reason


class _Counting(BaseHandler):
    def __init__(self) -> None:
        self.calls = 0


@handler("count")
class Counting(_Counting):
    async def execute(self) -> int:
        self.calls += 1
        return self.calls


@handler("count_def")
class CountingDef(_Counting):
    def execute(self) -> int:
        self.calls += 1
        return self.calls


@handler("careful")
class Careful(BaseHandler):
    async def execute(self, params: Any) -> None:
        raise ValueError("no such account")

    async def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow:
        return FailPermanently(f"execution {execution.id}: {error}")


@handler("careful_def")
class CarefulDef(BaseHandler):
    def execute(self, params: Any) -> None:
        raise ValueError("no such account")

    def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow:
        return FailPermanently(f"execution {execution.id}: {error}")
