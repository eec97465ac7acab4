"""`scheduler run`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Part(StrEnum):
    """A part of the line that can be started alone."""

    WORKER = "worker"
    PLANNER = "planner"


def run(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Work off what is due, then exit.")] = False,
    only: Annotated[
        list[Part] | None, typer.Option("--only", help="Start this part alone; may be given several times.")
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use a PostgreSQL of this folder's own, in .scheduler/.")
    ] = False,
) -> None:
    """Plan cron jobs and run executions, until a signal.

    SIGTERM or Ctrl-C once: no new work, the running one may finish within worker.shutdown_timeout_seconds, the rest is
    handed back; twice: at once. Exits 1 if work had to be abandoned.

    With no database configured, a terminal or --embedded gets a PostgreSQL of its own.

    Example: scheduler run --until-idle
    """
    import asyncio
    import os

    from scheduler.app import Application, Project
    from scheduler.cli.banner import print_banner

    project = Project.open(Path.cwd(), embedded=embedded, may_embed=_on_a_terminal())
    try:
        project.require_schema()
        application = Application(project, parts=[part.value for part in Part if part in (only or Part)])

        async def to_the_end() -> int:
            code = await application.run(until_idle=until_idle, on_start=print_banner)
            if await application.stuck():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
            return code

        code = asyncio.run(to_the_end())
    finally:
        project.close()
    raise typer.Exit(code)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
