"""procrastinate on psycopg."""

import logging

import procrastinate
from counting import Client, main

CONCURRENCY = 20
AT_ONCE = 5000


class Peer(Client):
    def __init__(self, url):
        super().__init__(url)
        logging.disable(logging.INFO)
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=20)
        self.app = procrastinate.App(connector=connector)
        self.hit = lambda number: None

        @self.app.task(queue="default", name="noop")
        async def noop(number):
            self.hit(number)

        self.noop = noop

    async def install(self):
        async with self.app.open_async():
            await self.app.schema_manager.apply_schema_async()

    async def open(self):
        await self.app.open_async()

    async def close(self):
        await self.app.close_async()

    async def put_many(self, jobs):
        for start in range(0, jobs, AT_ONCE):
            some = range(start, min(jobs, start + AT_ONCE))
            await self.noop.batch_defer_async(*[{"number": each} for each in some])

    async def put(self, number):
        await self.noop.defer_async(number=number)

    async def work(self, hit):
        self.hit = hit
        async with self.app.open_async():
            await self.app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)


if __name__ == "__main__":
    main(Peer)
