"""`scheduler init`: what is wanted, from options and, on a terminal, from answers."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.options import AsJson
from scheduler.errors import ConfigurationError, SchedulerError

if TYPE_CHECKING:
    from scheduler.operations.migration import SchemaState

_VARIABLE = "SCHEDULER_DATABASE_URL"
_EMBEDDED, _HANDLER, _EXPRESSION = "embedded", "hello", "@every 5s"


def init(
    folder: Annotated[Path, typer.Argument(help="A new or an existing one.")] = Path(),
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Use this database; the url goes into .env.")
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use a PostgreSQL of the project's own, in .scheduler/.  [default]")
    ] = False,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="With a url: make the scheduler's tables there if they are missing.")
    ] = False,
    handler: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"The name of the handler and of its cron job.  [default: {_HANDLER}]"),
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

    Example: scheduler init shop --database-url postgresql://app:secret@localhost/shop --migrate --every 1m
    """
    from scheduler.cli import new_project

    _refuse_both("--database-url", database_url, "--embedded", embedded)
    _refuse_both("--every", every, "--cron", cron)
    url = _url(database_url, embedded)
    expression = f"@every {every}" if every is not None else cron
    new_project.require_possible(folder, url, handler or _HANDLER, expression or _EXPRESSION)
    if not (yes or as_json) and _someone_answers():
        if url is None and not embedded:
            url = _asked_for_database(folder)
        if url is not None and not migrate:
            migrate = _asked_for_tables(new_project.state(folder, url))
        handler = handler or _asked("The name of the first handler", _HANDLER, new_project.require_name)
        expression = expression or _asked("When it runs", _EXPRESSION, new_project.require_expression)
    made = new_project.make(
        new_project.Choice(
            folder=folder,
            url=url,
            migrate=migrate,
            handler=handler or _HANDLER,
            expression=expression or _EXPRESSION,
        )
    )
    new_project.tell(made, as_json=as_json)


def _refuse_both(one: str, given: object, other: str, also_given: object) -> None:
    if given and also_given:
        raise typer.BadParameter(f"give either {one} or {other}.", param_hint=other)


def _url(given: str | None, embedded: bool) -> str | None:
    """The one in the environment comes first, as it will when the project runs."""
    named = os.environ.get(_VARIABLE)
    if named is not None and (embedded or given not in (None, named)):
        option = "--embedded" if embedded else "--database-url"
        raise ConfigurationError(f"{_VARIABLE} is set and comes before {option}: unset it, or leave out {option}.")
    return named if named is not None else given


def _someone_answers() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asked_for_database(folder: Path) -> str | None:
    from scheduler.cli.new_project import state

    def require_reachable(text: str) -> None:
        if text != _EMBEDDED:
            state(folder, text)

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
