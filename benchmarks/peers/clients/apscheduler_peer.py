"""APScheduler 4 (alpha) with its SQLAlchemy store."""

import asyncio
import logging

from apscheduler import AsyncScheduler, SchedulerRole
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.eventbrokers.psycopg import PsycopgEventBroker
from counting import Client, main
from sqlalchemy.ext.asyncio import create_async_engine

CONCURRENCY = 100
AT_ONCE = 20
HIT = [lambda number: None]


async def noop(number):
    HIT[0](number)


class Peer(Client):
    def scheduler(self, role):
        logging.disable(logging.WARNING)
        url = self.url.replace("postgresql://", "postgresql+psycopg://")
        store = SQLAlchemyDataStore(create_async_engine(url, pool_size=20, max_overflow=20))
        return AsyncScheduler(store, PsycopgEventBroker(self.url), role=role, max_concurrent_jobs=CONCURRENCY)

    async def configure(self, scheduler):
        await scheduler.configure_task("noop", func=noop, job_executor="async", max_running_jobs=None)

    async def open(self):
        self.opened = self.scheduler(SchedulerRole.scheduler)
        await self.opened.__aenter__()
        await self.configure(self.opened)

    async def close(self):
        await self.opened.__aexit__(None, None, None)

    async def put_many(self, jobs):
        for start in range(0, jobs, AT_ONCE):
            some = range(start, min(jobs, start + AT_ONCE))
            await asyncio.gather(*(self.opened.add_job("noop", args=[each]) for each in some))

    async def put(self, number):
        await self.opened.add_job("noop", args=[number])

    async def work(self, hit):
        HIT[0] = hit
        async with self.scheduler(SchedulerRole.worker) as scheduler:
            await self.configure(scheduler)
            await scheduler.run_until_stopped()


if __name__ == "__main__":
    main(Peer)
