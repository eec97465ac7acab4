"""Cron jobs that nobody plans, that can't be planned, that will never fire, that only fail."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from scheduler.errors import ScheduleError, nearest
from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.finding import Code, Finding, literal
from scheduler.operations.words import count_of, listed, span
from scheduler.rules.schedule import parse
from scheduler.rules.zones import zone_names

_LATE_SECONDS = 60
_FORGOTTEN_SECONDS = 7 * 86_400
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Whether an expression can be read doesn't depend on when `@every` begins."""
_DATES = {
    "infinite": "it is {value}; NULL means that there is no bound",
    "before starts_at": "it is {value}, which is not after starts_at, so that it never fires",
    "long ago": "it is {value}, which is long ago; NULL means that there is no bound",
    "far": "it is {value}, more than ten years from now",
}


def planned(bench: Bench) -> Iterator[Finding]:
    """Somebody plans what is due."""
    found = bench.one("doctor_planned", seconds=_LATE_SECONDS)
    if not found["late"]:
        yield Finding.fine(Code.CRON_LATE, f"{count_of(found['enabled'], 'cron job')} enabled, none of them late.")
        return
    are = "is" if found["late"] == 1 else "are"
    who = "None of the live workers plans" if bench.alive else "Nobody is alive to plan"
    yield Finding.error(
        Code.CRON_LATE,
        f"{found['late']:,} of {count_of(found['enabled'], 'enabled cron job')} {are} late, {found['latest']!r} by "
        f"{span(found['late_by'])}. {who}.",
        "Start `scheduler run`, without --only or with --only planner, and look at its log.",
    )


def invalid(bench: Bench) -> Iterator[Finding]:
    """Every row can be planned."""
    rows = bench.ask("doctor_invalid")
    for row in rows:
        yield Finding.error(
            Code.CRON_INVALID,
            f"Cron job {row['name']!r} ({row['cron_expression']}, {row['timezone']}) is not planned: "
            f"{_sentence(row['reason'])}",
            "Correct what is wrong in it; it is planned again at once.",
            [_update(bench, row["name"], _corrected(row))],
        )
    if not rows:
        yield Finding.fine(Code.CRON_INVALID, "No row is refused by the planner.")


def never(bench: Bench) -> Iterator[Finding]:
    """Every row that is on will fire again, within the years that somebody thinks of."""
    rows, dates = bench.ask("doctor_never"), bench.ask("doctor_dates")
    said = {row["name"] for row in dates}  # a date that nobody means is why it never fires
    yield from (_never(bench, row) for row in rows if row["name"] not in said)
    yield from (_date(bench, row) for row in dates)
    if not rows and not dates:
        yield Finding.fine(Code.CRON_NEVER, "Every cron job that is on will fire again.")


def failing(bench: Bench) -> Iterator[Finding]:
    """None fails time after time."""
    rows = bench.ask("doctor_streaks")
    for row in rows:
        error = (row["error"] or "no error was recorded").rstrip(". ")
        yield Finding.warning(
            Code.CRON_FAILING,
            f"The last three executions of cron job {row['name']!r} failed: {error}.",
            f"Read the traceback: `scheduler jobs show {row['id']}`.",
        )
    if not rows:
        yield Finding.fine(Code.CRON_FAILING, "No cron job failed three times in a row.")


def paused(bench: Bench) -> Iterator[Finding]:
    """None is paused for longer than somebody meant."""
    rows = bench.ask("doctor_paused_cron_jobs")
    late = [row for row in rows if (row["over"] or 0.0) > _LATE_SECONDS]
    forgotten = [row for row in rows if row["reason"] and row["resume_at"] is None and row["age"] > _FORGOTTEN_SECONDS]
    for row in late:
        yield Finding.warning(
            Code.CRON_PAUSED,
            f"Cron job {row['name']!r} was to resume {span(row['over'])} ago, and nobody has resumed it.",
            "Start `scheduler run`, without --only or with --only planner, and look at its log.",
        )
    for row in forgotten:
        yield Finding.warning(
            Code.CRON_PAUSED,
            f"Cron job {row['name']!r} is paused ({_one_line(row['reason'])}) for {span(row['age'])}, without an end.",
            f"Resume it when the reason is over: `scheduler cron resume {quote(row['name'])}`.",
            [f"SELECT {bench.table('resume_cron_job')}({literal(row['name'])});"],
        )
    if not late and not forgotten:
        names = f": {listed(map(_paused, rows))}" if rows else ""
        yield Finding.fine(Code.CRON_PAUSED, f"{count_of(len(rows), 'cron job')} paused{names}.")


def _paused(row: Mapping[str, Any]) -> str:
    reason = f" ({_one_line(row['reason'])})" if row["reason"] else ""
    until = f" until {row['resume_at']:%Y-%m-%d %H:%M} UTC" if row["resume_at"] else ""
    return f"{row['name']!r}{reason}{until}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _never(bench: Bench, row: Mapping[str, Any]) -> Finding:
    name, skipped_until = row["name"], row["skipped_until"]
    says = f"Cron job {name!r} is on and will never fire again"
    if skipped_until is not None:
        return Finding.warning(
            Code.CRON_NEVER,
            f"{says}: its ticks are skipped until {skipped_until:%Y-%m-%d %H:%M} UTC, and none comes after that.",
            f"End the skip, unless it is meant: `scheduler cron skip {quote(name)} --until now`.",
        )
    why = "its ends_at is past" if row["over"] else f"{row['cron_expression']} has no tick left"
    return Finding.warning(
        Code.CRON_NEVER,
        f"{says}: {why}.",
        "Disable it if it is done, or give it a later end or another expression.",
        [_update(bench, name, "enabled = false")],
    )


def _date(bench: Bench, row: Mapping[str, Any]) -> Finding:
    name, field, value = row["name"], row["field"], row["value"]
    if field == "next_run_at":
        return Finding.warning(
            Code.CRON_DATES,
            f"Cron job {name!r} fires next at {value} UTC.",
            "Correct its expression or starts_at, if that should be sooner.",
        )
    return Finding.warning(
        Code.CRON_DATES,
        f"Cron job {name!r} has a {field} that nobody means: {_DATES[row['why']].format(value=value)}.",
        "Write another date, or NULL.",
        [_update(bench, name, f"{field} = NULL")],
    )


def _corrected(row: Mapping[str, Any]) -> str:
    """What is to be written: the nearest zone there is, and dots where only the owner knows."""
    changes = []
    if row["timezone"] not in zone_names():
        changes.append(f"timezone = {literal(next(iter(nearest(row['timezone'], zone_names())), '…'))}")
    try:
        parse(row["cron_expression"], "UTC", anchor=_ANY_DAY)
    except ScheduleError:
        changes.append("cron_expression = '…'")
    return ", ".join(changes) or "starts_at = NULL, ends_at = NULL"


def _sentence(text: str) -> str:
    text = text.rstrip(". ")
    return text if text.endswith("?") else f"{text}."


def _update(bench: Bench, name: str, change: str) -> str:
    return f"UPDATE {bench.table('cron_jobs')} SET {change} WHERE name = {literal(name)};"
