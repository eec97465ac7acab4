"""Chancy with its async executor."""

import logging

from chancy import Chancy, Queue, Worker, job
from counting import Client, main

CONCURRENCY = 1000
HIT = [lambda number: None]


@job(queue="default")
async def noop(*, number: int):
    HIT[0](number)


class Peer(Client):
    def app(self):
        quiet = logging.getLogger("quiet")
        quiet.setLevel(logging.WARNING)
        return Chancy(self.url, no_default_plugins=True, log=quiet)

    async def install(self):
        async with self.app() as app:
            await app.migrate()
            await app.declare(
                Queue(
                    "default",
                    concurrency=CONCURRENCY,
                    executor=Chancy.Executor.Async,
                    polling_interval=1,
                    eager_polling=True,
                )
            )

    async def open(self):
        self.opened = self.app()
        await self.opened.__aenter__()

    async def close(self):
        await self.opened.__aexit__(None, None, None)

    async def put_many(self, jobs):
        every = [noop.job.with_kwargs(number=each) for each in range(jobs)]
        async for _ in self.opened.push_many(every, batch_size=5000):
            pass

    async def put(self, number):
        await self.opened.push(noop.job.with_kwargs(number=number))

    async def work(self, hit):
        HIT[0] = hit
        async with self.app() as app, Worker(app, register_signal_handlers=False) as worker:
            await worker.wait_for_shutdown()


if __name__ == "__main__":
    # Jobs name their function by its module, which must be importable by that name.
    import chancy_peer

    main(chancy_peer.Peer)
