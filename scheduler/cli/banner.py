"""What `scheduler run` shows before it starts: where it works, on what, and what comes next."""

import sys
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING

from scheduler import __version__
from scheduler.cli.moments import until_due
from scheduler.cli.printable import one_line
from scheduler.cli.tables import console
from scheduler.config.address import Address
from scheduler.operations.overview import database_time, upcoming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduler.app import Project
    from scheduler.app.application import Started
    from scheduler.handlers import HandlerRegistry

_TICKS = 3
_HANDLERS_A_GROUP = 8
_GROUPS = 6


def print_banner(started: "Started") -> None:
    """On stderr, above the log; left out where the log is for programs."""
    from rich.text import Text

    if started.project.settings.log.format != "text":
        return
    out = console(sys.stderr)
    out.print(Text(f"scheduler {__version__}", "bold"))
    for name, value in _lines(started):
        out.print(Text(f"  {name:<13}", "dim"), Text(one_line(value)), sep="", soft_wrap=True)


def _lines(started: "Started") -> "Iterator[tuple[str, str]]":
    project, worker = started.project, started.project.settings.worker
    yield "database", _place(project)
    if "worker" in started.parts:
        yield "queues", ", ".join(worker.queues)
        yield "concurrency", str(worker.pool_size)
        yield from _labelled("handlers", _groups(started.handlers) or ["none found"])
    consumers = [f"{each.name}: {each.queue} → {each.handler}" for each in started.consumers]
    yield from _labelled("consumers", consumers)
    if "planner" in started.parts:
        yield from _labelled("next ticks", _next_ticks(project) or ["none: no cron job is enabled"])


def _labelled(name: str, values: list[str]) -> "Iterator[tuple[str, str]]":
    yield from zip([name] + [""] * len(values), values, strict=False)


def _place(project: "Project") -> str:
    """Never with the password."""
    address = Address.parse(project.database.conninfo)
    database = address.dbname or address.user or ""
    if project.server is not None:
        where = f"embedded PostgreSQL {project.server.version}"
    else:
        where = f"{address.host or 'localhost'}:{address.port or 5432}"
    return f"{database} at {where}, schema {project.schema}"


def _groups(handlers: "HandlerRegistry") -> list[str]:
    """The names by the folder that they are in, cut where there are many."""
    names = defaultdict(list)
    for spec in sorted(handlers, key=lambda spec: spec.name):
        names[spec.module.rpartition(".")[0] or spec.module].append(spec.name)
    groups = [f"{_cut(names[group], _HANDLERS_A_GROUP)} ({group})" for group in sorted(names)]
    hidden = groups[_GROUPS:]
    return (
        groups if not hidden else [*groups[:_GROUPS], f"and {len(hidden)} more groups, {len(handlers)} handlers in all"]
    )


def _cut(names: list[str], most: int) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _next_ticks(project: "Project") -> list[str]:
    with closing(project.session("scheduler command")) as session:
        ticks, now = upcoming(session, _TICKS), database_time(session)
    return [f"{tick.name} {until_due(tick.at, now)} ({tick.at:%a %Y-%m-%d %H:%M:%S %Z})" for tick in ticks]
