"""DBOS with a queue of workflows."""

import asyncio

from counting import Client, main
from dbos import DBOS

AT_ONCE = 500
HIT = [lambda number: None]


@DBOS.workflow(name="noop")
async def noop(number):
    HIT[0](number)


class Peer(Client):
    def launch(self):
        DBOS(
            config={
                "name": "bench",
                "system_database_url": self.url.replace("postgresql://", "postgresql+psycopg://"),
                "log_level": "ERROR",
                "run_admin_server": False,
                "application_version": "1",
                "sys_db_pool_size": 20,
            }
        )

    async def open(self):
        self.launch()
        DBOS.listen_queues([])
        DBOS.launch()
        await DBOS.register_queue_async("q", polling_interval_sec=0.05, worker_concurrency=500)

    async def put_many(self, jobs):
        for start in range(0, jobs, AT_ONCE):
            some = range(start, min(jobs, start + AT_ONCE))
            await asyncio.gather(*(DBOS.enqueue_workflow_async("q", noop, each) for each in some))

    async def put(self, number):
        await DBOS.enqueue_workflow_async("q", noop, number)

    async def work(self, hit):
        HIT[0] = hit
        self.launch()
        DBOS.launch()
        await asyncio.Event().wait()


if __name__ == "__main__":
    main(Peer)
