"""A new project comes to be, and what to type next."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import typer

from scheduler.app import FOLDER, Project
from scheduler.cli.moments import relative
from scheduler.cli.tables import print_json
from scheduler.config import load_settings
from scheduler.embedded.removal import remove
from scheduler.errors import ConflictError
from scheduler.operations import cron_jobs, migration, new_project
from scheduler.operations.new_project import NewProject, Placed
from scheduler.operations.preview import preview

_VARIABLE = "SCHEDULER_DATABASE_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is wanted."""

    folder: Path
    url: str | None
    """Of the database; None: an embedded one."""
    migrate: bool
    handler: str
    expression: str


@dataclass(frozen=True, slots=True)
class FirstTick:
    """Of the cron job of that name."""

    name: str
    expression: str
    at: datetime
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    choice: Choice
    placed: Placed
    first_tick: FirstTick | None
    """None: the database has no tables of ours, and so no cron job."""


def require_possible(folder: Path, url: str | None, handler: str, expression: str) -> None:
    """Raises ConflictError where there is a project, and what `require_name()` and `require_expression()` raise."""
    require_name(handler)
    require_expression(expression)
    new_project.require_room(folder, NewProject(handler_name=handler, database_url=url))
    if sources := load_settings(folder, _environment_with(url)).sources:
        names = ", ".join(source.relative_to(folder).as_posix() for source in sources)
        raise ConflictError(
            f"{folder.absolute()} is a project already, with its settings in {names}: choose another folder."
        )


def require_name(handler: str) -> None:
    """Raises ConfigurationError for a name that no handler can have."""
    NewProject(handler_name=handler)


def require_expression(expression: str) -> None:
    """Raises ScheduleError."""
    preview(expression, "UTC", after=datetime.now(UTC), count=1)


def state(folder: Path, url: str) -> migration.SchemaState:
    """Of the scheduler's tables there. Raises ConfigurationError if the url is none or leads nowhere."""
    database = load_settings(folder, _environment_with(url)).job_database
    assert database is not None  # the url is its address
    return migration.check(database.conninfo, database.schema_)


def make(choice: Choice) -> Made:
    """All of it or nothing. Raises whatever is in the way, as a SchedulerError."""
    url = None if choice.url == os.environ.get(_VARIABLE) else choice.url
    new = NewProject(handler_name=choice.handler, database_url=url)
    with (
        new_project.placed(choice.folder, new) as placed,
        _no_server_left_behind(choice.folder),
        closing(Project.open(choice.folder.absolute(), embedded=choice.url is None)) as project,
    ):
        return Made(choice, placed, _first_tick(project, choice))


@contextmanager
def _no_server_left_behind(folder: Path) -> Iterator[None]:
    server = folder / FOLDER
    is_new = not server.exists()
    try:
        yield
    except BaseException:
        if is_new:
            remove(server)
        raise


def _first_tick(project: Project, choice: Choice) -> FirstTick | None:
    """The cron job, once there are tables for it."""
    found = migration.check(project.database.conninfo, project.schema)
    if found.newer:
        found.require_current()
    if not found.current:
        if not choice.migrate:
            return None
        migration.migrate(project.database.conninfo, project.schema)
    with closing(project.session("scheduler command")) as session:
        definition = cron_jobs.CronJobDefinition(
            name=choice.handler, cron_expression=choice.expression, handler_name=choice.handler
        )
        added = cron_jobs.add(session, definition)
    (tick,) = preview(choice.expression, "UTC", after=added.created_at, count=1).ticks
    return FirstTick(choice.handler, choice.expression, tick.utc, added.created_at)


def tell(made: Made, *, as_json: bool) -> None:
    """What was made, and what to type now."""
    if as_json:
        print_json(
            {
                "folder": str(made.choice.folder.absolute()),
                "files": [file.path for file in made.placed.files],
                "kept": made.placed.kept,
                "database": "embedded" if made.choice.url is None else "url",
                "cron_job": made.first_tick,
                "next": [command for command, _ in _next(made)],
            }
        )
    else:
        _print(made)
    if _is_secret_in_the_open(made):
        typer.echo("warning: .env holds the url, and .gitignore, which was there, does not name it: add it.", err=True)


def _print(made: Made) -> None:
    typer.echo(f"Made a project in {made.choice.folder.absolute()}:")
    _print_pairs([(file.path, file.about) for file in made.placed.files])
    if made.first_tick is not None:
        tick = made.first_tick
        typer.echo(f"and the cron job {tick.name}, {tick.expression}, due {relative(tick.at, tick.added_at)}.")
    typer.echo("\nNow type:")
    _print_pairs(_next(made))


def _print_pairs(pairs: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in pairs)
    for name, about in pairs:
        typer.echo(f"  {name:<{width}}  {about}".rstrip())


def _next(made: Made) -> list[tuple[str, str]]:
    """Commands, and what each is for."""
    choice = made.choice
    commands = []
    if choice.folder.absolute() != Path.cwd():
        commands.append((f"cd {quote(str(choice.folder))}", ""))
    if made.first_tick is None:
        add = f"scheduler cron add {choice.handler} {quote(choice.expression)} {choice.handler}"
        commands += [("scheduler migrate", "makes the scheduler's tables"), (add, "makes a cron job for the handler")]
    return [
        *commands,
        ("scheduler run", "plans and runs, until Ctrl-C; then in a second terminal:"),
        ("scheduler jobs list", "what ran, and how it ended"),
        ("scheduler cron list", "what runs when"),
        ("scheduler db psql", "all of it, in SQL"),
    ]


def _is_secret_in_the_open(made: Made) -> bool:
    written = {file.path for file in made.placed.files}
    if new_project.SECRETS not in written or new_project.IGNORED in written:
        return False
    lines = (made.choice.folder / new_project.IGNORED).read_text(encoding="utf-8", errors="replace").splitlines()
    return not {new_project.SECRETS, f"/{new_project.SECRETS}"} & {line.strip() for line in lines}


def _environment_with(url: str | None) -> dict[str, str]:
    return {**os.environ, **({_VARIABLE: url} if url is not None else {})}
