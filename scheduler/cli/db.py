"""`scheduler db …`."""

import typer

from scheduler.cli.project import opened

group = typer.Typer(no_args_is_help=True, help="The job database.")


@group.callback()
def about() -> None:
    """Keep `url` a command of its own, though it is the only one."""


@group.command("url")
def url() -> None:
    """Print the url of the job database, with its password, as psql takes it.

    Example: psql "$(scheduler db url)"
    """
    with opened() as project:
        typer.echo(project.database.conninfo)
        if project.server is not None:
            typer.echo(
                "note: The embedded PostgreSQL ends soon after its last user: keep `scheduler run` going "
                "while you use this url.",
                err=True,
            )
