"""`scheduler db …`."""

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.options import AsJson
from scheduler.cli.project import connected, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.operations.roles import RoleChange

group = typer.Typer(no_args_is_help=True, help="The job database.")


@group.command("url")
def url(as_json: AsJson = False) -> None:
    """Print the url of the job database, with its password, as psql takes it.

    Example: psql "$(scheduler db url)"
    """
    with opened() as project:
        conninfo = project.database.conninfo
        if as_json:
            from scheduler.cli.tables import print_json

            print_json({"url": conninfo, "schema": project.schema, "embedded": project.server is not None})
        else:
            typer.echo(conninfo)
        if project.server is not None:
            typer.echo(
                "note: The embedded PostgreSQL ends soon after its last user: keep `scheduler run` going "
                "while you use this url, or use `scheduler db psql`.",
                err=True,
            )


@group.command("psql", context_settings={"ignore_unknown_options": True})
def psql(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGS", help="What psql itself takes; its help is `-- --help`.")
    ] = None,
) -> None:
    r"""Open psql on the job database, or run it with arguments of its own; its exit code is passed on.

    Tables have their bare names there, whichever schema they are in. A first look: \d+ job_executions, \dv+, and with
    psql 16 or newer \df+.

    Example: scheduler db psql
    Example: scheduler db psql -c 'SELECT * FROM cron_job_status'
    """
    from scheduler.cli.psql import run

    with opened() as project:
        code = run(project.database.direct_conninfo, project.schema, arguments or [])
    raise typer.Exit(code)


@group.command("roles")
def roles(
    prefix: Annotated[
        str, typer.Option(metavar="NAME", help="What their names begin with: NAME_viewer and so on.")
    ] = "scheduler",
    do: Annotated[bool, typer.Option("--apply", help="Run it, in one transaction, and say what changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print SQL that makes four roles, each with no more rights than it needs: viewer, enqueuer, worker, admin.

    They can't log in; grant them to those who do. It may run again, and should after an upgrade.

    Example: scheduler db roles | psql "$(scheduler db url)"
    Example: scheduler db roles --apply
    """
    from scheduler.operations.roles import apply, names, script

    if do:
        with connected() as (_, session):
            changes = apply(session, prefix)
        _print_changes(changes, names(prefix)["worker"], as_json)
        return
    with opened() as project:
        text = script(project.schema, prefix)
    if as_json:
        from scheduler.cli.tables import print_json

        print_json({"roles": list(names(prefix).values()), "sql": text})
    else:
        typer.echo(text, nl=False)


def _print_changes(changes: "Sequence[RoleChange]", worker: str, as_json: bool) -> None:
    from scheduler.cli.tables import print_json

    if as_json:
        print_json(changes)
        return
    for change in changes:
        if change.created:
            typer.echo(f"{change.role}: made, with {len(change.granted)} rights")
        elif not (change.granted or change.revoked):
            typer.echo(f"{change.role}: as it was")
        else:
            typer.echo(f"{change.role}:")
            for right in change.granted:
                typer.echo(f"  granted {right}")
            for right in change.revoked:
                typer.echo(f"  revoked {right}")
    if any(change.created for change in changes):
        typer.echo(f"They can't log in: write, for example, GRANT {worker} TO your_login;")
