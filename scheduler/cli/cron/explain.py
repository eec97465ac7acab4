"""`scheduler cron explain`."""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli import completion
from scheduler.cli.cron import options
from scheduler.cli.cron.ticks import print_ticks, tick_json
from scheduler.cli.moments import relative
from scheduler.cli.options import AsJson
from scheduler.cli.pausing import until_in_words
from scheduler.cli.project import connected
from scheduler.errors import ScheduleError, SchedulerError

if TYPE_CHECKING:
    from rich.text import Text

    from scheduler.operations.explanation import Explanation
    from scheduler.rules.clock_changes import ClockChange

_WRITTEN_AS_FIELDS = re.compile(r"@.*|\S+([ \t]+\S+){3,}|[\d*/,\-#?LW \t]*")
"""What is meant as an expression, right or wrong, and not as the name of a cron job."""


def explain(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="EXPR|NAME",
            help="Such as '30 2 * * *' or '@every 90s'; or the name of a cron job.",
            autocompletion=completion.cron_jobs,
        ),
    ],
    timezone: Annotated[
        str | None,
        typer.Option(
            "--tz",
            metavar="ZONE",
            help="An IANA zone, such as Asia/Seoul.  [default: UTC, or the cron job's]",
            autocompletion=completion.zones,
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1_000, help="How many of the next ticks to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Explain an expression, or that of a cron job: in words, field by field, what it does when clocks change.

    An expression needs no database.

    Example: scheduler cron explain '30 2 * * *' --tz America/New_York

    Example: scheduler cron explain nightly
    """
    from scheduler.cli.tables import print_json

    options.refuse_unquoted(context)
    explained, now = _found(what, timezone, count)
    if as_json:
        print_json(_as_object(explained))
    else:
        _print(explained, now)


def _found(what: str, timezone: str | None, count: int) -> "tuple[Explanation, datetime]":
    """An expression before a cron job of that name; `clean up old reports` and `7` are names, too."""
    if not _is_expression(what):
        return _of_row(what, timezone, count)
    try:
        return _of_expression(what, timezone, count)
    except ScheduleError as refusal:
        try:
            return _of_row(what, timezone, count)
        except SchedulerError:  # no such row, or no database to look into
            raise refusal from None


def _is_expression(what: str) -> bool:
    return _WRITTEN_AS_FIELDS.fullmatch(what.strip()) is not None


def _of_expression(expression: str, timezone: str | None, count: int) -> "tuple[Explanation, datetime]":
    from scheduler.operations.explanation import explain

    now = datetime.now(UTC)
    return explain(expression, timezone or "UTC", now=now, count=count), now


def _of_row(name: str, timezone: str | None, count: int) -> "tuple[Explanation, datetime]":
    from scheduler.operations.cron_job_page import find
    from scheduler.operations.explanation import explain
    from scheduler.operations.overview import database_time

    with connected() as (_, session):
        job, now = find(session, name, only_look=True), database_time(session)
    return explain(job.cron_expression, timezone or job.timezone, now=now, count=count, cron_job=job), now


def _as_object(explained: "Explanation") -> Mapping[str, Any]:
    """For JSON: local times keep their offset."""
    return {
        "expression": explained.expression,
        "timezone": explained.timezone,
        "cron_job": explained.cron_job,
        "paused": explained.paused,
        "paused_reason": explained.paused_reason,
        "resume_at": explained.resume_at,
        "words": explained.words,
        "fields": explained.fields,
        "ticks": [tick_json(tick) for tick in explained.ticks],
        "clock_changes": [
            {
                "utc": change.at,
                "from": change.wall_before.isoformat(),
                "to": change.wall_after.isoformat(),
                "effect": change.effect,
                "affected": change.affected,
                "ticks": change.ticks,
                "usual_ticks": change.usual_ticks,
                "sentence": change.sentence,
            }
            for change in explained.clock_changes
        ],
        "cautions": explained.cautions,
    }


def _print(explained: "Explanation", now: datetime) -> None:
    from rich.text import Text

    from scheduler.cli.printable import one_line
    from scheduler.cli.tables import console, print_table

    out = console(sys.stdout)
    if explained.cron_job is not None:
        out.print(Text(one_line(f"Cron job {explained.cron_job}")), soft_wrap=True)
    words = explained.words[0].upper() + explained.words[1:]
    out.print(
        Text.assemble((one_line(explained.expression), "bold cyan"), f"  in {explained.timezone}"), soft_wrap=True
    )
    out.print(Text(f"{words}.", "bold"))
    if explained.paused:
        until = "" if explained.resume_at is None else f" {until_in_words(explained.resume_at, now)}"
        reason = f": {explained.paused_reason.rstrip('. ')}" if explained.paused_reason else ""
        said = one_line(f"It is paused{until}{reason}. No tick before it is resumed runs.")
        out.print(Text(said, "yellow"), soft_wrap=True)
    if explained.fields:
        typer.echo()
        print_table(("field", "written", "means"), ((f.name, f.text, f.meaning) for f in explained.fields))
    _print_title("Next ticks" if explained.ticks else "It has no tick in the time to come")
    if explained.ticks:
        print_ticks(explained.ticks, now)
    _print_changes(explained, now)
    if explained.cautions:
        _print_title("Mind")
        _print_lines((Text("•", "yellow"), Text(caution.sentence)) for caution in explained.cautions)


def _print_changes(explained: "Explanation", now: datetime) -> None:
    from rich.text import Text

    from scheduler.rules.clock_changes import Effect

    changes = explained.clock_changes
    if not changes:
        _print_title(f"The clock of {explained.timezone} does not change in the coming year")
        return
    _print_title(f"When the clock of {explained.timezone} changes in the coming year")
    _print_lines(
        (
            Text(f"{change.wall_before:%a %Y-%m-%d}"),
            Text(_jump(change)),
            Text(relative(change.at, now)),
            Text(change.sentence, "dim" if change.effect is Effect.NONE else "yellow"),
        )
        for change in changes
    )


def _jump(change: "ClockChange") -> str:
    later = "" if change.wall_before.date() == change.wall_after.date() else f"{change.wall_after:%a} "
    return f"{change.wall_before:%H:%M} → {later}{change.wall_after:%H:%M}"


def _print_title(title: str) -> None:
    from rich.text import Text

    from scheduler.cli.tables import console

    typer.echo()
    console(sys.stdout).print(Text(title, "bold"))


def _print_lines(lines: "Iterable[tuple[Text, ...]]") -> None:
    """Side by side; the last text of a line is folded where the terminal ends."""
    from rich.table import Table

    from scheduler.cli.tables import console

    rows = list(lines)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in rows[0][:-1]:
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console(sys.stdout).print(grid)
