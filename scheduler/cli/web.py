"""`scheduler web` and `scheduler web token …`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.moments import parsed_span
from scheduler.cli.options import AsJson
from scheduler.cli.project import connected, opened
from scheduler.model import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.operations.tokens import Token

STARTED_BY = "SCHEDULER_STARTED_BY"
"""The variable by which `scheduler run --web` tells that it is the parent."""

group = typer.Typer()
token_group = typer.Typer(no_args_is_help=True, help="Who may use the HTTP API.")
group.add_typer(token_group, name="token")

_HEADERS = ("name", "role", "made by", "made", "expires")


@group.callback(invoke_without_command=True)
def web(context: typer.Context) -> None:
    """Serve the HTTP API at web.host and web.port, until a signal.

    On the loopback address, which is the default, nobody needs a token. Elsewhere everybody does.

    Example: scheduler web

    Example: SCHEDULER_WEB__PORT=9000 scheduler web
    """
    if context.invoked_subcommand is not None:
        return
    _require_packages()
    _end_with_parent()
    from scheduler.web.server import serve

    with opened(quiet=False) as project:
        project.require_schema()
        serve(project)


@token_group.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Whose it is; the audit calls them so.")],
    role: Annotated[
        Role,
        typer.Option(
            help="viewer: sees all but params, results and errors. operator: also enqueues, calls, cancels, retries "
            "and pauses. admin: also changes cron jobs and limits, and sees the audit."
        ),
    ] = Role.VIEWER,
    expires: Annotated[
        str | None, typer.Option(metavar="SPAN", help="It is taken for so long, such as 90d; else until it is removed.")
    ] = None,
) -> None:
    """Make a token and print it, once: only its hash is stored.

    Example: scheduler web token add ci --role operator --expires 90d
    """
    from scheduler.operations.overview import database_time
    from scheduler.operations.tokens import add

    lasts = None if expires is None else parsed_span(expires, "--expires")
    with connected() as (_, session):
        until = None if lasts is None else database_time(session) + lasts
        token = add(session, name, role, expires_at=until)
    typer.echo(token)
    typer.echo("note: It is not shown again. Send it in the header `Authorization: Bearer sched_…`.", err=True)


@token_group.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """Show whose tokens there are; what they are nobody can say.

    Example: scheduler web token list
    """
    from scheduler.cli.tables import print_json, print_table
    from scheduler.operations.overview import database_time
    from scheduler.operations.tokens import tokens

    with connected() as (_, session):
        found, now = tokens(session), database_time(session)
    if as_json:
        print_json(found)
    elif found:
        print_table(_HEADERS, (_cells(token, now) for token in found))
    else:
        typer.echo("There is no token yet: `scheduler web token add --help` shows how to make one.", err=True)


@token_group.command("remove")
def remove_token(name: Annotated[str, typer.Argument(help="As `web token list` shows it.")]) -> None:
    """Take a token back: within seconds it is refused.

    Example: scheduler web token remove ci
    """
    from scheduler.operations.tokens import remove

    with connected() as (_, session):
        remove(session, name)
    typer.echo(f"Token {name!r} is removed.")


def _cells(token: "Token", now: datetime) -> "Sequence[object]":
    from scheduler.cli.moments import relative

    expires = "never" if token.expires_at is None else relative(token.expires_at, now)
    return token.name, token.role, token.created_by, relative(token.created_at, now), expires


def _end_with_parent() -> None:
    """Where `scheduler run --web` has started this."""
    import os
    from signal import SIGTERM

    from scheduler.isolation.parents import die_with_parent

    parent = os.environ.pop(STARTED_BY, None)
    if parent is not None:
        die_with_parent(int(parent), SIGTERM)


def _require_packages() -> None:
    """Raises ConfigurationError where the extra isn't installed."""
    from importlib.util import find_spec

    from scheduler.errors import ConfigurationError

    if any(find_spec(name) is None for name in ("fastapi", "uvicorn")):
        raise ConfigurationError("The HTTP API needs packages that are not installed: pip install 'pg-scheduler[web]'.")
