"""A cron job as YAML for an editor: each column with what it means, and read back with sentences for what can't be."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

from scheduler.cli.cron.options import OPTIONS, spelled
from scheduler.cli.moments import parsed_or_none
from scheduler.errors import RefusedError, did_you_mean
from scheduler.model import Backoff, CatchUp, OverlapPolicy

if TYPE_CHECKING:
    from scheduler.operations.cron_jobs import CronJobDefinition

_HEAD = """\
# Cron job {name!r}. Save this and leave the editor to change it; leave it as it is, or empty, to change nothing.
# A column that is removed here stays as it is.
"""
_NULLS = ("", "null", "~")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def written(job: "CronJobDefinition") -> str:
    """Every column that a person decides."""
    return "".join(_lines(job))


def read(text: str, before: "CronJobDefinition") -> "CronJobDefinition":
    """`before` with what the text says. Raises RefusedError, whose sentence names the column."""
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise RefusedError(_no_yaml(error)) from None
    if not isinstance(root, yaml.MappingNode):
        raise RefusedError("A line has to be a column and its value, such as `timezone: Asia/Seoul`.")
    values: dict[str, Any] = {}
    for key, node in root.value:
        column = str(key.value)
        if column not in OPTIONS:
            raise RefusedError(f"There is no column {column!r} to edit.{did_you_mean(column, OPTIONS)}")
        if column in values:
            raise RefusedError(f"{column} is there twice: keep one of the two.")
        values[column] = _value(column, node)
    return replace(before, **values)


def _no_yaml(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = "This" if mark is None else f"Line {mark.line + 1}"
    said = f" ({problem})" if problem and "<" not in problem else ""  # its signs for tokens say nothing to people
    return f"{where} is no YAML{said}: put text with special signs in quotes."


def _lines(job: "CronJobDefinition") -> Iterator[str]:
    from scheduler.operations.cron_jobs import MEANINGS

    yield _HEAD.format(name=job.name)
    for column in OPTIONS:
        yield f"\n# {MEANINGS[column]}\n{column}: {_yaml(column, getattr(job, column))}\n"


def _yaml(column: str, value: Any) -> str:
    if value is None:
        return "null"
    if column == "handler_params":
        return _block(value)
    text = spelled(value)
    if not isinstance(value, str) or isinstance(value, Backoff | CatchUp | OverlapPolicy):
        return text
    # In quotes where it would be something else without, and on one line.
    style = None if text.isprintable() else '"'
    dumped = yaml.safe_dump(text, default_style=style, allow_unicode=style is None, width=float("inf"))
    return dumped.removesuffix("...\n").strip()


def _block(params: str) -> str:
    """The JSON as it is stored, in lines; its numbers are nobody's to round, and YAML has its own idea of some."""
    return "|\n" + "".join(f"  {line}\n" for line in _escaped(params).splitlines()).rstrip("\n")


def _escaped(params: str) -> str:
    """What isn't printable can only be within a JSON string, where it can be written in ASCII."""
    return re.sub(r"[^\n]", lambda char: char[0] if char[0].isprintable() else _escape(char[0]), params)


def _escape(char: str) -> str:
    encoded = char.encode("utf-16-be")
    return "".join(f"\\u{encoded[at : at + 2].hex()}" for at in range(0, len(encoded), 2))


def _value(column: str, node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        how = "JSON, indented below `handler_params: |`" if column == "handler_params" else "one value, such as a word"
        raise RefusedError(f"{column}: write {how}.")
    if node.style is None and node.value in _NULLS:
        return _null(column)
    return _READERS.get(column, _text)(column, node.value)


def _null(column: str) -> None:
    from scheduler.operations.cron_jobs import CronJobDefinition

    defaults = {field.name: field.default for field in fields(CronJobDefinition)}
    if defaults[column] is not None:
        raise RefusedError(f"{column} can't be empty: write a value.")


def _text(column: str, text: str) -> str:
    return text


def _json(column: str, text: str) -> str:
    import typer

    from scheduler.cli.values import json_text

    try:
        return json_text(text.strip(), column)
    except typer.BadParameter as error:
        raise RefusedError(f"{column}: {error.message}") from None


def _number(column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RefusedError(f"{column}: {text!r} is not a number.") from None


def _whole(column: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RefusedError(f"{column}: {text!r} is not a whole number.") from None


def _switch(column: str, text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise RefusedError(f"{column}: {text!r} is neither true nor false.")
    return _BOOLEANS[text.lower()]


def _time(column: str, text: str) -> datetime:
    moment = parsed_or_none(text)
    if moment is None:
        raise RefusedError(f"{column}: {text!r} is not a time: write ISO 8601, such as 2026-03-08T02:30-05:00.")
    return moment


def _one_of(kind: type[Backoff] | type[CatchUp] | type[OverlapPolicy]) -> Callable[[str, str], Any]:
    def read_one(column: str, text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            hint = did_you_mean(text, [known.value for known in kind])
            raise RefusedError(f"{column}: {text!r} is none of {', '.join(kind)}.{hint}") from None

    return read_one


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "handler_params": _json,
    "priority": _whole,
    "timeout_seconds": _number,
    "max_retry": _whole,
    "retry_backoff": _one_of(Backoff),
    "retry_delay_seconds": _number,
    "overlap_policy": _one_of(OverlapPolicy),
    "catch_up": _one_of(CatchUp),
    "catch_up_limit": _whole,
    "jitter_seconds": _number,
    "expected_duration_seconds": _number,
    "max_start_delay_seconds": _number,
    "starts_at": _time,
    "ends_at": _time,
    "enabled": _switch,
}
