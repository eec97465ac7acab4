"""Times as people write and read them."""

import re
from datetime import UTC, datetime, timedelta

import typer

from scheduler.operations.words import span
from scheduler.rules.instants import EPOCH, HORIZON

_WORD = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)", re.IGNORECASE)
_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AT_MOST = timedelta(days=3650)

_NO_TIME = "0 s"


def parsed(text: str, option: str) -> datetime:
    """ISO 8601, from 1970 up to the year 9000, as ticks are; UTC where no offset is written.

    Raises BadParameter, which names the option.
    """
    moment = _iso_or_none(text)
    if moment is None:
        raise typer.BadParameter(
            f"{text!r} is not a time: write ISO 8601, such as 2026-03-08T02:30 or 2026-03-08T02:30-05:00.",
            param_hint=option,
        )
    return _bounded(moment, text, option)


def parsed_span(text: str, option: str) -> timedelta:
    """`90s`, `5m`, `2h`, `1h30m`, `1d`, `1w`; up to ten years. Raises BadParameter, which names the option."""
    found = _span_or_none(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a duration: write 90s, 5m, 2h, 1d or 1w.", param_hint=option)
    return found


def parsed_ago(text: str, option: str) -> timedelta | datetime:
    """A time, or how long ago it was: for `before_now`. Raises BadParameter, which names the option."""
    return _parsed_distance(text, option, "2h for two hours ago")


def before_now(moment: timedelta | datetime, now: datetime) -> datetime:
    return now - moment if isinstance(moment, timedelta) else moment


def parsed_ahead(text: str, option: str) -> timedelta | datetime:
    """A time, or in how long it comes: for `after_now`. Raises BadParameter, which names the option."""
    return _parsed_distance(text, option, "2h for two hours from now")


def after_now(moment: timedelta | datetime, now: datetime) -> datetime:
    return now + moment if isinstance(moment, timedelta) else moment


def _parsed_distance(text: str, option: str, example: str) -> timedelta | datetime:
    found = _span_or_none(text) or _iso_or_none(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is neither a duration nor a time: write {example}, or ISO 8601 such as 2026-03-08T02:30.",
            param_hint=option,
        )
    return _bounded(found, text, option) if isinstance(found, datetime) else found


def _bounded(moment: datetime, text: str, option: str) -> datetime:
    if EPOCH <= moment < HORIZON:
        return moment
    raise typer.BadParameter(
        f"{text!r} is out of range: write a time from {EPOCH.year} up to the year {HORIZON.year}.", param_hint=option
    )


def _span_or_none(text: str) -> timedelta | None:
    """None also for nothing, and for more than ten years."""
    words = _WORD.findall(text)
    if not words or _WORD.sub("", text).strip():
        return None
    seconds = sum(float(number) * _SECONDS[unit.lower()] for number, unit in words)
    return timedelta(seconds=seconds) if 0 < seconds <= _AT_MOST.total_seconds() else None


def parsed_or_none(text: str | None) -> datetime | None:
    """The same of a stored text, which may be anything."""
    moment = _iso_or_none(text or "")
    return moment if moment is not None and EPOCH <= moment < HORIZON else None


def _iso_or_none(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def relative(moment: datetime | None, now: datetime) -> str:
    """`in 4 min`, `3 h ago`, `now`; empty for None."""
    if moment is None:
        return ""
    distance = span(abs(moment - now))
    if distance == _NO_TIME:
        return "now"
    return f"in {distance}" if moment > now else f"{distance} ago"


def until_due(tick: datetime, now: datetime) -> str:
    """The same for a tick that is still to be planned."""
    late = span(now - tick)
    return relative(tick, now) if tick > now or late == _NO_TIME else f"due since {late}, catching up"


def duration(started_at: datetime | None, finished_at: datetime | None) -> str | None:
    """How long it took: `12 ms`, `1.24 s`, then as `span`; None unless it began and ended."""
    if started_at is None or finished_at is None:
        return None
    seconds = max(0.0, (finished_at - started_at).total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 120 else span(timedelta(seconds=seconds))


def absolute(moment: datetime) -> str:
    """In the zone of this host, with its offset."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def in_zone(moment: datetime) -> str:
    """In the zone that the moment is in, with its weekday and offset."""
    return f"{moment:%a} {moment.isoformat(sep=' ', timespec='seconds')}"


def when(moment: datetime | None, now: datetime) -> str | None:
    """`2026-03-07 03:00:00+00:00 (9 h ago)`; None for None."""
    return None if moment is None else f"{absolute(moment)} ({relative(moment, now)})"
