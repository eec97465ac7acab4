"""`scheduler init`: what is wanted, from options and, on a terminal, from answers."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.agreement import somebody_is_there
from scheduler.cli.options import AsJson
from scheduler.errors import ConfigurationError, ConflictError, SchedulerError

if TYPE_CHECKING:
    from scheduler.operations.migration import SchemaState
    from scheduler.operations.new_project import NewProject

_EMBEDDED = "embedded"


def init(
    folder: Annotated[Path, typer.Argument(help="A new or an existing one.")] = Path(),
    database_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Use this database; the url goes into .env. One with a password is better typed when it is asked for: "
            "others see the arguments of a command.",
        ),
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use a PostgreSQL of the project's own, in .scheduler/.  [default]")
    ] = False,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="With a url: make the scheduler's tables there if they are missing.")
    ] = False,
    handler: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The name of the handler and of its cron job.  [default: hello]"),
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="INTERVAL", help="How often it runs, such as 90s, 5m or 1h.  [default: 5s]")
    ] = None,
    cron: Annotated[
        str | None, typer.Option(metavar="EXPR", help="Or at which times, such as '0 9 * * MON-FRI', in UTC.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: what isn't given is the default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a small project that works: settings, a handler, and a cron job that runs it.

    On a terminal it asks for what isn't given. It writes over nothing, and if it fails, nothing is left behind.

    Example: scheduler init shop

    Example: scheduler init shop --database-url postgresql://localhost/shop --migrate --every 1m
    """
    from scheduler.cli.new_project import Report, tell
    from scheduler.cli.project import begun
    from scheduler.operations.new_project import EXPRESSION, HANDLER, NewProject, make

    _refuse_both("--database-url", database_url, "--embedded", embedded)
    _refuse_both("--every", every, "--cron", cron)
    url = _url(database_url, embedded)
    expression = f"@every {every}" if every is not None else cron
    _require_room(folder, _chosen(handler, expression, url), url)
    if not (yes or as_json) and somebody_is_there():
        if url is None and not embedded:
            url = _asked_for_database(folder)
        if url is not None and not migrate:
            migrate = _asked_for_tables(_state(folder, url))
        handler = handler or _asked(
            "The name of the first handler", HANDLER, lambda name: NewProject(handler_name=name)
        )
        expression = expression or _asked("When it runs", EXPRESSION, lambda text: NewProject(cron_expression=text))
    new = _chosen(handler, expression, url)
    opened = partial(begun, folder.absolute(), embedded=url is None)
    made = make(folder, new, opened, may_migrate=migrate)
    tell(Report(folder, new, made, embedded=url is None), as_json=as_json)


def _chosen(handler: str | None, expression: str | None, url: str | None) -> "NewProject":
    """With its defaults; a url that the environment has needs no file."""
    from scheduler.config.variables import JOB_URL
    from scheduler.operations.new_project import EXPRESSION, HANDLER, NewProject

    urls = {} if url is None or url == os.environ.get(JOB_URL) else {JOB_URL: url}
    return NewProject(handler_name=handler or HANDLER, cron_expression=expression or EXPRESSION, urls=urls)


def _require_room(folder: Path, new: "NewProject", url: str | None) -> None:
    """Raises ConflictError where there is a project."""
    from scheduler.config import load_settings
    from scheduler.operations.new_project import require_room

    require_room(folder, new)
    if sources := load_settings(folder, _environment_with(url)).sources:
        names = ", ".join(source.relative_to(folder).as_posix() for source in sources)
        raise ConflictError(
            f"{folder.absolute()} is a project already, with its settings in {names}: choose another folder."
        )


def _state(folder: Path, url: str) -> "SchemaState":
    """Of the scheduler's tables there. Raises ConfigurationError if the url is none or leads nowhere."""
    from scheduler.config import load_settings
    from scheduler.operations.migration import state

    database = load_settings(folder, _environment_with(url)).job_database
    assert database is not None  # the url is its address
    return state(database.conninfo, database.schema_)


def _environment_with(url: str | None) -> dict[str, str]:
    from scheduler.config.variables import JOB_URL

    return {**os.environ, **({} if url is None else {JOB_URL: url})}


def _refuse_both(one: str, given: object, other: str, also_given: object) -> None:
    if given and also_given:
        raise typer.BadParameter(f"give either {one} or {other}.", param_hint=other)


def _url(given: str | None, embedded: bool) -> str | None:
    """The one in the environment comes first, as it will when the project runs."""
    from scheduler.config.variables import JOB_URL

    named = os.environ.get(JOB_URL)
    if named is not None and (embedded or given not in (None, named)):
        option = "--embedded" if embedded else "--database-url"
        raise ConfigurationError(f"{JOB_URL} is set and comes before {option}: unset it, or leave out {option}.")
    return named if named is not None else given


def _asked_for_database(folder: Path) -> str | None:
    def require_reachable(text: str) -> None:
        if text != _EMBEDDED:
            _state(folder, text)

    answer = _asked("The database: a url, or embedded for one of the project's own", _EMBEDDED, require_reachable)
    return None if answer == _EMBEDDED else answer


def _asked_for_tables(state: "SchemaState") -> bool:
    if state.current:
        return False
    return typer.confirm(f'Make the scheduler\'s tables in the database "{state.database}" now?', err=True)


def _asked(question: str, default: str, require: Callable[[str], object]) -> str:
    """Again and again, until the answer is one that `require` lets pass."""

    def checked(answer: str) -> str:
        try:
            require(answer)
        except SchedulerError as error:
            raise typer.BadParameter(str(error)) from error
        return answer

    answer: str = typer.prompt(question, default=default, value_proc=checked, err=True)
    return answer
