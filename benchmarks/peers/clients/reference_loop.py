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

    async def work(self, hit: Callable[[int], None]) -> None:
        await reference.drain(self.url, lambda: hit(0))


if __name__ == "__main__":
    main(Peer)
