"""`scheduler run`."""

import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion

if TYPE_CHECKING:
    import subprocess

    from scheduler.app.application import Application
    from scheduler.config.settings import WorkerSettings


_TOLD = "SCHEDULER_REPORTS_TO"
"""The variable by which a supervisor tells a worker that it is one, whatever program has called us."""


class Part(StrEnum):
    """A part of the line that can be started alone."""

    WORKER = "worker"
    PLANNER = "planner"
    CONSUMER = "consumer"


def run(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Work off what is due, then exit.")] = False,
    only: Annotated[
        list[Part] | None, typer.Option("--only", help="Start this part alone; may be given several times.")
    ] = None,
    consumer: Annotated[
        list[str] | None,
        typer.Option(
            "--consumer",
            metavar="NAME",
            help="Start this consumer, and those that it depends on, in place of all with auto_start; may be given "
            "several times.",
            autocompletion=completion.consumers,
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="First make the cron jobs as declared, like `scheduler cron apply --yes`.")
    ] = False,
    processes: Annotated[
        str | None,
        typer.Option(
            metavar="N|MIN..MAX",
            help="Worker processes to start and look after; 0: none beside this one, as for a debugger.  "
            "[default: the setting worker.processes, which is 1]",
        ),
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use a PostgreSQL of this folder's own, in .scheduler/.")
    ] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the HTTP API too, as `scheduler web` does.")] = False,
) -> None:
    """Plan cron jobs and run executions, until a signal.

    SIGTERM or Ctrl-C once: no new work, the running one may finish within worker.shutdown_timeout_seconds, the rest is
    handed back; twice: at once. Exits 1 if work had to be abandoned.

    With --apply, rows that were edited since the last apply or that belong to somebody else are left, with a warning.

    The work is done by processes that this one looks after: one that ends, hangs or blocks is replaced.

    With no database configured, a terminal or --embedded gets a PostgreSQL of its own.

    Example: scheduler run --until-idle

    Example: scheduler run --apply

    Example: scheduler run --processes 2..8

    Example: scheduler run --only consumer --consumer task_consumer
    """
    import os

    from scheduler.services.companion import companion

    told = os.environ.pop(_TOLD, None)  # so that nothing a handler starts inherits it
    settings = _supervised(processes) if told is None else None
    parts = [part.value for part in Part if part in (only or Part)]
    with companion(_web_server if web and told is None else None):
        code = (
            _work(until_idle, parts, consumer or [], embedded, apply, told)
            if settings is None
            else _supervise(settings, until_idle)
        )
    raise typer.Exit(code)


def _web_server() -> "subprocess.Popen[bytes]":
    """`scheduler web`, in a process group of its own, so that Ctrl-C reaches this process alone."""
    import os
    import subprocess

    from scheduler.cli.web import STARTED_BY

    told = {STARTED_BY: str(os.getpid())}
    return subprocess.Popen([sys.executable, "-m", "scheduler", "web"], env=os.environ | told, process_group=0)


def _supervised(processes: str | None) -> "WorkerSettings | None":
    """What is asked of the workers that are to be started; None for nobody but this process."""
    import os

    from scheduler.config import load_settings
    from scheduler.messages import configure

    if processes is not None:
        _check(processes)
        os.environ["SCHEDULER_WORKER__PROCESSES"] = processes  # so that the workers are told the same
    settings = load_settings(Path.cwd())
    if settings.worker.process_range[0] == 0:
        return None
    configure(settings.log.level, settings.log.format, settings.log.language)
    return settings.worker


def _check(processes: str) -> None:
    """Raises ConfigurationError that names the option, not the variable by which it is passed on."""
    from pydantic import TypeAdapter, ValidationError

    from scheduler.config.values import Processes
    from scheduler.errors import ConfigurationError

    try:
        TypeAdapter(Processes).validate_python(processes)
    except ValidationError as error:
        raise ConfigurationError(f"--processes {error.errors()[0]['ctx']['error']}.") from None


def _supervise(settings: "WorkerSettings", until_idle: bool) -> int:
    """Start this very program again for each worker, which is told where to report.

    In a process group of its own, so that Ctrl-C reaches this process alone.
    """
    import os
    import subprocess

    from scheduler.services.crew import Crew
    from scheduler.services.health_server import serving
    from scheduler.services.supervisor import Supervisor

    least, most = settings.process_range
    crew = Crew(
        least=least,
        most=most,
        lease_seconds=settings.lease_seconds,
        shutdown_seconds=settings.shutdown_timeout_seconds,
        max_executions=settings.max_executions_per_process,
        until_idle=until_idle,
        measures=settings.health_port is not None,
    )

    def start(descriptor: int, first: bool) -> "subprocess.Popen[bytes]":
        told = {_TOLD: f"{descriptor} {'loud' if first else 'quiet'}"}
        command = [sys.executable, *sys.orig_argv[1:]]
        return subprocess.Popen(command, env=os.environ | told, pass_fds=[descriptor], process_group=0)

    supervisor = Supervisor(start, crew)
    health, live, metrics = supervisor.health, supervisor.life, supervisor.metrics
    with serving(settings.health_address, settings.health_port, health=health, live=live, metrics=metrics):
        return supervisor.run()


def _work(
    until_idle: bool, parts: list[str], consumers: list[str], embedded: bool, apply: bool, told: str | None
) -> int:
    """Be a worker; `told` is what its supervisor has told it, if there is one."""
    import asyncio
    import os

    from scheduler.app import Project
    from scheduler.app.application import Application, Started
    from scheduler.app.leftovers import stuck
    from scheduler.cli.banner import print_banner

    project = Project.open(Path.cwd(), embedded=embedded, may_embed=_on_a_terminal())
    try:
        project.require_schema(writable=True)
        reports_to, _, volume = (told or "").partition(" ")
        quiet = volume == "quiet"
        application = Application(
            project, parts=parts, consumers=consumers, reports_to=int(reports_to) if told else None
        )
        if not quiet:
            _declare(application, apply=apply)

        def on_start(started: Started) -> None:
            if not quiet:
                print_banner(started)

        async def to_the_end() -> int:
            code = await application.run(until_idle=until_idle, on_start=on_start)
            if await stuck():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
            return code

        return asyncio.run(to_the_end())
    finally:
        project.close()


def _declare(application: "Application", *, apply: bool) -> None:
    """Apply what is declared, or warn that it isn't applied."""
    from scheduler.cli.project import user_name
    from scheduler.operations.declared_at_start import apply_at_start, tell_unapplied

    project, handlers = application.project, application.handlers
    if Part.WORKER not in application.parts:
        if not apply:
            return  # without handlers, only a part of what is declared is known
        handlers = project.handlers()
    declared, managed_by = project.declared_cron_jobs(handlers), project.settings.managed_by
    if not declared and managed_by is None:
        return
    with closing(project.session("scheduler command", actor=user_name())) as session:
        if apply:
            apply_at_start(session, project.declarations(handlers))
        else:
            tell_unapplied(session, declared, managed_by)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
