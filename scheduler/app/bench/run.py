"""All measurements in order: what is only enqueued first, then what takes workers, on the same ones."""

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from scheduler.app.bench import measures
from scheduler.app.bench.fleet import fleet
from scheduler.app.bench.place import own_schema
from scheduler.app.bench.report import Report
from scheduler.app.project import Project
from scheduler.client import Client
from scheduler.store import benching

PARTS: Final = ("enqueue", "drain", "latency", "cron")
"""What can be measured alone."""


@dataclass(frozen=True, slots=True)
class Options:
    jobs: int
    """Of each backlog."""
    seconds: float
    """How long enqueue (one by one), latency and cron may each take."""
    processes: int = 1
    parts: Collection[str] = PARTS


def run(project: Project, options: Options, tell: Callable[[float | None, str], None]) -> Report:
    """`tell` hears how far it is, 0 to 1 or None, and what it does.

    Raises BenchmarkError where a measurement fails, and otherwise as the database refuses.
    """
    order = [part for part in PARTS if part in options.parts]
    with ExitStack() as stack:
        tell(None, "making a schema")
        session = stack.enter_context(own_schema(project))
        stack.callback(tell, None, "dropping the schema")
        client = stack.enter_context(Client(project.database.conninfo, schema=session.schema))
        server, yardstick = benching.server(session), measures.yardstick(session)

        def progress(part: str) -> measures.Tell:
            return lambda done: tell((order.index(part) + done) / len(order), part)

        enqueue = drain = latency = cron = None
        if "enqueue" in order:
            enqueue = measures.enqueue(client, session, options.jobs, options.seconds, progress("enqueue"))
        if order != ["enqueue"]:
            tell(None, "starting workers")
            workers = stack.enter_context(fleet(project.folder, session.schema, options.processes))
            if "drain" in order:
                drain = measures.drain(client, session, workers, options.jobs, progress("drain"))
            if "latency" in order:
                latency = measures.latency(client, options.seconds, progress("latency"))
            if "cron" in order:
                cron = measures.cron(session, workers, options.seconds, progress("cron"))
        return Report(server, yardstick, options.processes, enqueue, drain, latency, cron)
