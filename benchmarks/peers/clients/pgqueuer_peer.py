"""PgQueuer on an asyncpg pool with uvloop."""

from datetime import timedelta

import asyncpg
import uvloop
from counting import Client, main
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries

BATCH = 100
AT_ONCE = 5000


class Peer(Client):
    async def driver(self):
        return AsyncpgPoolDriver(await asyncpg.create_pool(self.url, min_size=2, max_size=10))

    async def install(self):
        await Queries(await self.driver()).install()

    async def open(self):
        self.queries = Queries(await self.driver())

    async def put_many(self, jobs):
        for start in range(0, jobs, AT_ONCE):
            some = range(start, min(jobs, start + AT_ONCE))
            await self.queries.enqueue(["noop"] * len(some), [str(each).encode() for each in some], [0] * len(some))

    async def put(self, number):
        await self.queries.enqueue("noop", str(number).encode())

    async def work(self, hit):
        worker = PgQueuer(await self.driver())

        @worker.entrypoint("noop")
        async def noop(job):
            hit(int(job.payload))

        await worker.run(batch_size=BATCH, dequeue_timeout=timedelta(seconds=30))


if __name__ == "__main__":
    main(Peer, uvloop.run)
