"""scheduler: its own client, and `scheduler run` as it comes."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import counting
from counting import Client, main

from scheduler import AsyncClient
from scheduler.app import Project
from scheduler.app.application import Application
from scheduler.store.migration import migrate

SETTINGS = {"SCHEDULER_WORKER__POOL_SIZE": "200", "SCHEDULER_WORKER__CLAIM_BATCH_MAX": "1000"}
HANDLER = """
import counting
from scheduler import handler


@handler("noop")
async def noop(params: dict) -> None:
    counting.HIT(params["number"])
"""


@contextmanager
def project() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        handlers = Path(folder, "handlers")
        handlers.mkdir()
        (handlers / "noop.py").write_text(HANDLER)
        yield Path(folder)


class Peer(Client):
    async def install(self) -> None:
        migrate(self.url)

    async def open(self) -> None:
        self.client = AsyncClient(self.url)
        await self.client.__aenter__()

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)

    async def put_many(self, jobs: int) -> None:
        await self.client.enqueue_many("noop", ({"number": each} for each in range(jobs)))

    async def put(self, number: int) -> None:
        await self.client.enqueue("noop", {"number": number})

    async def work(self, hit: Callable[[int], None]) -> None:
        counting.HIT = hit
        with project() as folder:
            os.environ |= {
                "SCHEDULER_DATABASE_URL": self.url,
                "SCHEDULER_LOG__LEVEL": "warning",
                **SETTINGS,
            }
            await Application(Project.open(folder)).run()


if __name__ == "__main__":
    main(Peer)
