"""What a command asks before it does much: of somebody who is there, and never of a script."""

import sys

import typer

from scheduler.cli.failures import FAILED, MISUSED


def somebody_is_there() -> bool:
    """To read a question and to type an answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agree(question: str, otherwise: str) -> None:
    """Ask it; exits FAILED on a no, and MISUSED where nobody is there, with what to do `otherwise`."""
    if not somebody_is_there():
        typer.echo(f"error: Nobody is there to be asked: {otherwise}", err=True)
        raise typer.Exit(MISUSED)
    if not typer.confirm(question, err=True):
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(FAILED)
