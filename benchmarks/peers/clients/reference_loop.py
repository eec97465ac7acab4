"""The reference loop of benchmarks/reference.py: the least that a Python worker with history must do."""

from collections.abc import Callable

import psycopg
from counting import Client, main

from benchmarks import reference


class Peer(Client):
    async def install(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(reference.TABLE)

    async def put_many(self, jobs: int) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(reference.FILL_NUMBERED, (jobs,))

    async def open(self) -> None:
        self.connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)

    async def close(self) -> None:
        await self.connection.close()

    async def put(self, number: int) -> None:
        await self.connection.execute(reference.PUT, (number,))

    async def each(self, hit: Callable[[int], None]) -> None:
        """The raw way: a NOTIFY that is heard and answered by one claim."""
        async with (
            await psycopg.AsyncConnection.connect(self.url, autocommit=True) as ears,
            await psycopg.AsyncConnection.connect(self.url, autocommit=True, prepare_threshold=0) as claims,
        ):
            await ears.execute("LISTEN reference_jobs")
            await ears.execute("NOTIFY reference_jobs")  # for what came before there was anybody to hear of it
            async for _ in ears.notifies():
                for row in await (await claims.execute(reference.CLAIM, (reference.BATCH,))).fetchall():
                    hit(row[2]["number"])

    async def work(self, hit: Callable[[int], None]) -> None:
        await reference.drain(self.url, lambda: hit(0))


if __name__ == "__main__":
    main(Peer)
