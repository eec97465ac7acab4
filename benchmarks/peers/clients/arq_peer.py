"""arq with uvloop, looking for jobs every 10 ms and keeping no results."""

import asyncio
import logging

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from counting import Client, main

AT_ONCE = 100


class Peer(Client):
    def settings(self):
        return RedisSettings.from_dsn(self.url)

    async def open(self):
        self.pool = await create_pool(self.settings())

    async def close(self):
        await self.pool.aclose()

    async def put_many(self, jobs):
        for start in range(0, jobs, AT_ONCE):
            some = range(start, min(jobs, start + AT_ONCE))
            await asyncio.gather(*(self.put(each) for each in some))

    async def put(self, number):
        await self.pool.enqueue_job("noop", number)

    async def work(self, hit):
        logging.disable(logging.INFO)

        async def noop(context, number):
            hit(number)

        worker = Worker(
            [func(noop, name="noop")],
            redis_settings=self.settings(),
            max_jobs=AT_ONCE,
            poll_delay=0.01,
            keep_result=0,
            handle_signals=False,
        )
        await worker.async_run()


if __name__ == "__main__":
    main(Peer, uvloop.run)
