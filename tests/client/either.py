"""Both clients in one form, and a small worker over the pull side of `Client`, so that something is done."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from scheduler import AsyncClient, Client
from scheduler.client import Claimed


class Either:
    """`await either.wait(1)`, by a client of the registry's job database in either form."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        if isinstance(self.client, AsyncClient):
            return method

        async def called(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *args, **options)

        return called

    async def all_of(self, name: str, *args: Any, **options: Any) -> list[Any]:
        """What an iterator gives until its end."""
        iterator = getattr(self.client, name)(*args, **options)
        if isinstance(self.client, AsyncClient):
            return [each async for each in iterator]
        return await asyncio.to_thread(list, iterator)


Run = Callable[[Client, Claimed], Any]


@contextmanager
def worker(url: str, run: Run, *, queue: str = "default") -> Iterator[None]:
    """Claims and runs, one after the other; what `run` returns is the result, what it raises the error."""
    over, failures = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            with Client(url) as client:
                id_ = client.register("test", queues=[queue])
                while not over.is_set():
                    client.heartbeat(id_)
                    claims = client.claim(id_, queue)
                    for claimed in claims:
                        _run_one(client, claimed, run)
                    if not claims:
                        over.wait(0.01)
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert failures == []


def _run_one(client: Client, claimed: Claimed, run: Run) -> None:
    try:
        result = run(client, claimed)
    except ValueError as error:
        client.fail(claimed, f"ValueError: {error}")
    else:
        client.complete(claimed, result)


def echo(client: Client, claimed: Claimed) -> Any:
    if claimed.handler_name == "fail":
        raise ValueError("boom")
    return claimed.params
