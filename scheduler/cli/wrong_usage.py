"""What was typed wrongly, in one sentence, with how the command is used below it."""

import re
from typing import Any

import typer

from scheduler.cli.printable import printable
from scheduler.errors import did_you_mean

_CHOICE = re.compile(r"'(.*)' is not one of (.*?)\.?")


def tell(error: Any) -> None:
    """To stderr; `error` is of one of the parser's classes, which aren't public."""
    typer.echo(f"error: {printable(_sentence(error))}", err=True)
    context = getattr(error, "ctx", None)
    if context is not None:
        typer.echo(f"{context.get_usage()}\n`{context.command_path} --help` says more.", err=True)


def _sentence(error: Any) -> str:
    if near := getattr(error, "possibilities", None):
        return f"{error.message}. Did you mean {' or '.join(map(repr, near))}?"
    if isinstance(error, typer.BadParameter) and error.message:
        return _refused(error)
    said: str = error.format_message()
    return said if said.endswith((".", "?")) else f"{said}."


def _refused(error: Any) -> str:
    """A value that can't be used: pydantic's words made ours, or ours with the option in front."""
    from pydantic import ValidationError

    from scheduler.config.refusals import words

    name = (error.param_hint or error.param.get_error_hint()).replace("'", "")
    if not isinstance(error.__cause__, ValidationError):
        return f"{name}: {error.message}"
    (details, *_) = error.__cause__.errors(include_url=False)
    typed, said = details["input"], words(details)
    if choice := _CHOICE.fullmatch(said):
        return f"{name} must be one of {choice[2]}, not {typed!r}.{did_you_mean(typed, _quoted(choice[2]))}"
    return f"{name} {said}, not {typed!r}."


def _quoted(names: str) -> list[str]:
    return re.findall(r"'([^']*)'", names)
