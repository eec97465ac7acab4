"""`scheduler cron skip`."""

import shlex
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion
from scheduler.cli.cron.ticks import tick_json
from scheduler.cli.moments import after_now, in_zone, parsed_ahead, relative
from scheduler.cli.options import AsJson
from scheduler.cli.printable import one_line
from scheduler.cli.project import connected
from scheduler.operations.words import count_of

if TYPE_CHECKING:
    from scheduler.operations.skip import Skip

NOW = "now"


def skip(
    name: Annotated[str, typer.Argument(help="As `cron list` prints it.", autocompletion=completion.cron_jobs)],
    until: Annotated[
        str,
        typer.Option(metavar="TIME", help="The first instant whose tick runs again; 2h for so long from now; or now."),
    ],
    as_json: AsJson = False,
) -> None:
    """Let the next ticks of a cron job not run, up to a time.

    One SKIPPED execution says so, and stands for all of them. The same again with a later TIME skips more, with an
    earlier one fewer, and with 'now' none. An edit of the schedule, a pause and a resume end it too: ticks then count
    from that moment. A TIME is ISO 8601, in UTC where it names no offset.

    Example: scheduler cron skip nightly --until 2026-03-10

    Example: scheduler cron skip nightly --until now
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.overview import database_time
    from scheduler.operations.skip import end_skip
    from scheduler.operations.skip import skip as skip_them

    moment = None if until.strip().lower() == NOW else parsed_ahead(until, "--until")
    with connected() as (_, session):
        now = database_time(session)
        skipped = end_skip(session, name) if moment is None else skip_them(session, name, after_now(moment, now))
    if as_json:
        print_json(_json(skipped))
    else:
        for line in _words(skipped, now, ended=moment is None):
            typer.echo(one_line(line))


def _json(skipped: "Skip") -> dict[str, object]:
    return {
        "cron_job": skipped.cron_job,
        "until": skipped.until,
        "count": skipped.count,
        "more": skipped.more,
        "first": tick_json(skipped.first),
        "last": tick_json(skipped.last),
        "execution_id": skipped.execution_id,
        "given_back": skipped.given_back,
        "next_tick": tick_json(skipped.next_tick),
    }


def _words(skipped: "Skip", now: datetime, *, ended: bool) -> list[str]:
    job = f"Cron job {skipped.cron_job!r}"
    back = f" {count_of(skipped.given_back, 'tick')} will run after all." if skipped.given_back else ""
    lines = [f"{job} skips {_skipped(skipped, ended=ended)}.{back}"]
    if skipped.next_tick is None:
        lines.append("It has no tick after that.")
    else:
        lines.append(f"Its next tick: {in_zone(skipped.next_tick.local)}, {relative(skipped.next_tick.utc, now)}.")
    if skipped.count and not ended:
        lines.append(f"To take it back: scheduler cron skip {shlex.quote(skipped.cron_job)} --until now")
    return lines


def _skipped(skipped: "Skip", *, ended: bool) -> str:
    if ended:
        return "no tick any more" if skipped.given_back else "no tick"
    if skipped.first is None or skipped.last is None:
        return "no tick: none falls into that time"
    ticks = ("more than " if skipped.more else "") + count_of(skipped.count, "tick")
    first, last = in_zone(skipped.first.local), in_zone(skipped.last.local)
    return f"{ticks}, {first if skipped.count == 1 else f'from {first} to {last}'} (execution {skipped.execution_id})"
