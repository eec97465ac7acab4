"""What is typed, checked before anything is opened."""

import json
from collections.abc import Iterable

import typer

from scheduler.errors import did_you_mean
from scheduler.model import FINAL, Status

HIDDEN = "hidden: the role of the job database's url may not read it"
"""In place of what may hold secrets."""
_GROUPS = {"dead": frozenset({Status.FAILED, Status.TIMEOUT}), "final": FINAL}
"""Words for several statuses."""
_SHOWN = 200
"""Characters: enough to know what was typed, of a megabyte too."""


def json_text(text: str, option: str) -> str:
    """The text, if it is JSON. Raises BadParameter, which names the option and the place."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
        raise typer.BadParameter(f"{shown!r} is not JSON: {error}.", param_hint=option) from None
    return text


def statuses(texts: Iterable[str], among: frozenset[Status] = frozenset(Status)) -> frozenset[Status]:
    """In any case, one or several with commas, or a word for some of them; `among` are those that make sense here.

    Raises BadParameter.
    """
    return frozenset(status for text in texts for word in text.split(",") for status in _statuses(word.strip(), among))


def _statuses(word: str, among: frozenset[Status]) -> frozenset[Status]:
    meant = _GROUPS.get(word.lower(), frozenset(status for status in Status if status == word.upper()))
    if meant & among:
        return meant & among
    known = [status.value for status in Status if status in among]
    groups = [name for name, statuses in _GROUPS.items() if statuses & among]
    if meant:
        said = f"{word!r} makes no sense here: write"
    else:
        hint = did_you_mean(word.upper(), known) or did_you_mean(word.lower(), groups)
        said = f"{word!r} is no status.{hint} Write"
    raise typer.BadParameter(f"{said} {', '.join([*known, *groups])}.", param_hint="--status")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
