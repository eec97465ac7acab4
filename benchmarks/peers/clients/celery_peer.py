"""Celery with a pool of processes, which ignores results."""

import multiprocessing

from celery import Celery
from counting import Client, Counter, main

PROCESSES = 2
AHEAD = 128


class Among(Counter):
    """Counts for all processes of the pool."""

    def __init__(self, jobs):
        super().__init__(jobs)
        self.all = multiprocessing.Value("l", 0)

    def hit(self, number=0):
        with self.all.get_lock():
            self.count = self.all.value
            super().hit(number)
            self.all.value = self.count


class Peer(Client):
    def __init__(self, url):
        super().__init__(url)
        self.hit = lambda number: None
        self.app = Celery("bench", broker=url)
        self.app.conf.update(
            task_ignore_result=True,
            worker_prefetch_multiplier=AHEAD,
            worker_redirect_stdouts=False,
            broker_connection_retry_on_startup=True,
        )

        @self.app.task(name="noop")
        def noop(number):
            self.hit(number)

        self.noop = noop

    async def put_many(self, jobs):
        with self.app.producer_or_acquire() as producer:
            for each in range(jobs):
                self.noop.apply_async((each,), producer=producer)

    async def put(self, number):
        self.noop.apply_async((number,))

    async def work(self, hit):
        self.hit = hit
        options = ["--pool=prefork", f"--concurrency={PROCESSES}", "--loglevel=ERROR"]
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.app.worker_main(["worker", *options, *alone])


if __name__ == "__main__":
    main(Peer, count=Among)
