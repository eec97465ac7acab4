"""The commands and how they hang together."""

from typing import Annotated

import typer

from scheduler.cli import cron, db, jobs, queues, web, workers
from scheduler.cli.bench import bench
from scheduler.cli.doctor import doctor
from scheduler.cli.examples import show_examples_last
from scheduler.cli.init import init
from scheduler.cli.migrate import migrate
from scheduler.cli.prune import prune
from scheduler.cli.run import run
from scheduler.cli.top import top

# Plain help and errors: they read the same in a pipe, and rich is not loaded for them.
root = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 120},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from scheduler import __version__

        typer.echo(f"scheduler {__version__}")
        raise typer.Exit


@root.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Cron jobs and background jobs as rows in Postgres.

    Settings come from scheduler.yaml or config/*.yaml, .env and SCHEDULER_* variables of the current folder.

    Example: scheduler run
    """


root.command()(init)
root.command()(run)
root.command()(migrate)
root.command()(doctor)
root.command()(top)
root.command()(prune)
root.command()(bench)
root.add_typer(cron.group, name="cron")
root.add_typer(jobs.group, name="jobs")
root.add_typer(queues.group, name="queues")
root.add_typer(workers.group, name="workers")
root.add_typer(web.group, name="web")
root.add_typer(db.group, name="db")
show_examples_last(root)
