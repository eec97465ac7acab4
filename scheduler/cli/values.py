"""What is typed, checked before anything is opened."""

import json

import typer

from scheduler.errors import did_you_mean
from scheduler.model import Status


def json_text(text: str, option: str) -> str:
    """The text, if it is JSON. Raises BadParameter, which names the option and the place."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{text!r} is not JSON: {error}.", param_hint=option) from None
    return text


def status(text: str) -> Status:
    """In any case. Raises BadParameter."""
    try:
        return Status(text.upper())
    except ValueError:
        hint = did_you_mean(text.upper(), [known.value for known in Status])
        raise typer.BadParameter(
            f"{text!r} is no status.{hint} Write {', '.join(Status)}.", param_hint="--status"
        ) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
