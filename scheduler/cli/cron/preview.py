"""`scheduler cron preview`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from scheduler.cli.cron import options
from scheduler.cli.cron.ticks import print_ticks, tick_json
from scheduler.cli.moments import parsed


def preview_ticks(
    context: typer.Context,
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="Such as '30 2 * * *' or '@every 90s'.")],
    timezone: Annotated[str, options.ZONE] = "UTC",
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="The first instant that counts.  [default: now]")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="The first instant that doesn't.")] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Show at most so many ticks.  [default: 10, or 10,000 with --until]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects with utc and local.")] = False,
) -> None:
    """Show when an expression is due, without a database.

    A TIME is ISO 8601, in UTC where it names no offset. '@every' counts from --after.

    Example: scheduler cron preview '30 2 * * *' --tz America/New_York --after 2026-03-07 --until 2026-03-10
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.preview import AT_MOST, preview

    options.refuse_unquoted(context)
    now = datetime.now(UTC)
    start = parsed(after, "--after") if after is not None else now
    end = parsed(until, "--until") if until is not None else None
    if end is not None and end < start:
        raise typer.BadParameter(
            f"{until} is before --after, which is {after or 'now'}: write a later one, or an earlier --after.",
            param_hint="--until",
        )
    found = preview(expression, timezone, after=start, until=end, count=count)
    if as_json:
        print_json([tick_json(tick) for tick in found.ticks])
    elif found.ticks:
        print_ticks(found.ticks, now)
    else:
        typer.echo("No tick falls into that time.", err=True)
    if found.cut:
        typer.echo(f"note: These are the first {AT_MOST:,} ticks: ask for more with --count.", err=True)
