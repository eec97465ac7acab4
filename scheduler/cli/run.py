"""`scheduler run`."""

import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scheduler.app import Application


class Part(StrEnum):
    """A part of the line that can be started alone."""

    WORKER = "worker"
    PLANNER = "planner"


def run(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Work off what is due, then exit.")] = False,
    only: Annotated[
        list[Part] | None, typer.Option("--only", help="Start this part alone; may be given several times.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="First make the cron jobs as declared, like `scheduler cron apply --yes`.")
    ] = False,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use a PostgreSQL of this folder's own, in .scheduler/.")
    ] = False,
) -> None:
    """Plan cron jobs and run executions, until a signal.

    SIGTERM or Ctrl-C once: no new work, the running one may finish within worker.shutdown_timeout_seconds, the rest is
    handed back; twice: at once. Exits 1 if work had to be abandoned.

    With --apply, rows that were edited since the last apply or that belong to somebody else are left, with a warning.

    With no database configured, a terminal or --embedded gets a PostgreSQL of its own.

    Example: scheduler run --until-idle

    Example: scheduler run --apply
    """
    import asyncio
    import os

    from scheduler.app import Application, Project
    from scheduler.cli.banner import print_banner

    project = Project.open(Path.cwd(), embedded=embedded, may_embed=_on_a_terminal())
    try:
        project.require_schema(writable=True)
        application = Application(project, parts=[part.value for part in Part if part in (only or Part)])
        _declare(application, apply=apply)

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


def _declare(application: "Application", *, apply: bool) -> None:
    """Apply what is declared, or warn that it isn't applied."""
    from scheduler.operations.declared_at_start import apply_at_start, tell_unapplied

    project, handlers = application.project, application.handlers
    if Part.WORKER not in application.parts:
        if not apply:
            return  # without handlers, only a part of what is declared is known
        handlers = project.handlers()
    declared, managed_by = project.declared_cron_jobs(handlers), project.settings.managed_by
    if not declared and managed_by is None:
        return
    with closing(project.session("scheduler command")) as session:
        if apply:
            apply_at_start(session, project.declarations(handlers))
        else:
            tell_unapplied(session, declared, managed_by)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
