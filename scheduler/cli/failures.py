"""How a failure is told, and what it exits with."""

import typer

from scheduler.cli.printable import printable
from scheduler.errors import ConfigurationError, ParamsError, RefusedError, ScheduleError, SchedulerError

FAILED, MISUSED = 1, 2


def report(error: SchedulerError) -> None:
    typer.echo(f"error: {printable(str(error))}", err=True)


def exit_code(error: SchedulerError) -> int:
    """MISUSED for what a person has to write in another way, FAILED for the rest."""
    misused = isinstance(error, ConfigurationError | ScheduleError | ParamsError | RefusedError)
    return MISUSED if misused else FAILED
