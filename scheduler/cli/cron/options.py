"""What a cron job may be told on a command line, and how the same is spelled there for somebody else."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from scheduler.cli import completion

if TYPE_CHECKING:
    from scheduler.operations.cron_jobs import Change, CronJobDefinition

# What a shell makes of an unquoted expression is refused by the commands, which know the remedy.
TAKES_AN_EXPRESSION = {"allow_extra_args": True}

ZONE = typer.Option("--tz", metavar="ZONE", help="An IANA zone, such as Asia/Seoul.", autocompletion=completion.zones)
PARAMS = typer.Option("--params", metavar="JSON", help="What the handler is given.")
QUEUE = typer.Option("--queue", help="The queue that its executions wait under.", autocompletion=completion.queues)
PRIORITY = typer.Option("--priority", min=-9, max=9, help="Higher runs first.")
TIMEOUT = typer.Option("--timeout", help="Seconds an attempt may take, instead of the handler's own.")
MAX_RETRY = typer.Option(
    "--max-retry", min=0, help="How often an execution may fail in all, instead of the handler's own."
)
RETRY_BACKOFF = typer.Option(
    "--retry-backoff", help="How the wait for the next try grows, instead of the handler's own."
)
RETRY_DELAY = typer.Option(
    "--retry-delay", min=0, help="Seconds before the first of these tries, instead of the handler's own."
)
OVERLAP = typer.Option("--overlap", help="What a tick does while an earlier execution isn't final.")
CATCH_UP = typer.Option("--catch-up", help="Which missed ticks still run.")
CATCH_UP_LIMIT = typer.Option(
    "--catch-up-limit",
    min=1,
    max=10_000,
    help="How many, with --catch-up all; and how many wait, with --overlap queue.",
)
JITTER = typer.Option("--jitter", min=0, help="Seconds by which ticks are spread, at most.")
EXPECTED_DURATION = typer.Option("--expected-duration", help="Seconds that one is expected to take, or it is slow.")
MAX_START_DELAY = typer.Option("--max-start-delay", help="Seconds that a tick may wait for its start, or it is late.")
STARTS_AT = typer.Option(
    "--starts-at",
    metavar="TIME",
    help="No tick before this; '@every' counts from it. ISO 8601, in UTC without an offset.",
)
ENDS_AT = typer.Option("--ends-at", metavar="TIME", help="No tick at this time or after it.")
DESCRIPTION = typer.Option("--description", help="What it is for.")

OPTIONS: Mapping[str, str] = {
    "name": "--rename",
    "cron_expression": "--expression",
    "timezone": "--tz",
    "handler_name": "--handler",
    "handler_params": "--params",
    "description": "--description",
    "queue": "--queue",
    "priority": "--priority",
    "timeout_seconds": "--timeout",
    "max_retry": "--max-retry",
    "retry_backoff": "--retry-backoff",
    "retry_delay_seconds": "--retry-delay",
    "overlap_policy": "--overlap",
    "catch_up": "--catch-up",
    "catch_up_limit": "--catch-up-limit",
    "jitter_seconds": "--jitter",
    "expected_duration_seconds": "--expected-duration",
    "max_start_delay_seconds": "--max-start-delay",
    "starts_at": "--starts-at",
    "ends_at": "--ends-at",
    "enabled": "--enabled",
}
"""The option of `cron edit` for each column, in the order in which people think of them."""

_WORDS = {
    "timeout_seconds": "the handler's own", "max_retry": "the handler's own", "retry_backoff": "the handler's own",
    "retry_delay_seconds": "the handler's own", "description": "none", "starts_at": "none", "ends_at": "none",
    "expected_duration_seconds": "none", "max_start_delay_seconds": "none",
}  # fmt: skip
"""What NULL means."""


def refuse_unquoted(context: typer.Context) -> None:
    if context.args:
        context.fail(
            f"Got unexpected extra arguments ({' '.join(context.args)}). "
            "Put the expression in quotes, such as '30 2 * * *': the shell takes it apart."
        )


def in_words(column: str, value: Any) -> str:
    """A value for people; as it is spelled, but for NULL."""
    return _WORDS.get(column, "none") if value is None else spelled(value)


def spelled(value: Any) -> str:
    """As an option takes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case StrEnum():
            return value.value
        case float():
            return repr(value).removesuffix(".0")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def add_command(definition: "CronJobDefinition") -> str:
    """The command line that makes this very cron job; what is as it would be anyway is left out."""
    from scheduler.operations.cron_jobs import CronJobDefinition, differences

    plain = CronJobDefinition(
        name=definition.name, cron_expression=definition.cron_expression, handler_name=definition.handler_name
    )
    positional = [definition.name, definition.cron_expression, definition.handler_name]
    options = list(_arguments(differences(plain, definition)))
    if any(word.startswith("-") for word in positional):
        return shlex.join(["scheduler", "cron", "add", *options, "--", *positional])
    return shlex.join(["scheduler", "cron", "add", *positional, *options])


def edit_command(name: str, wanted: "Iterable[Change]") -> str:
    """The command line that makes these differences, each `other` in place of `one`."""
    options = list(_arguments(wanted))
    if name.startswith("-"):
        return shlex.join(["scheduler", "cron", "edit", *options, "--", name])
    return shlex.join(["scheduler", "cron", "edit", name, *options])


def _arguments(wanted: "Iterable[Change]") -> Iterator[str]:
    values = {difference.column: difference.other for difference in wanted}
    for column, option in OPTIONS.items():
        if column not in values:
            continue
        value = values[column]
        if column == "enabled":
            yield option if value else "--paused"
        elif value is None:
            yield from ("--unset", option.removeprefix("--"))
        elif spelled(value).startswith("-"):
            yield f"{option}={spelled(value)}"
        else:
            yield from (option, spelled(value))


def defaults() -> dict[str, Any]:
    """What `--unset` sets each column back to."""
    from scheduler.operations.cron_jobs import CronJobDefinition

    return {field.name: field.default for field in fields(CronJobDefinition) if field.default is not MISSING}
