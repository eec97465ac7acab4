"""Ticks that a pause, an edit or the end of a skip took from the planner: which, by the schedule of then, and why."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scheduler.errors import ScheduleError
from scheduler.model import Span
from scheduler.rules.catch_up import span
from scheduler.rules.instants import EPOCH, HORIZON, INSTANT
from scheduler.rules.schedule import anchor, parse

_WHY = {
    "paused": "fell due while the cron job was paused",
    "pause": "nobody had planned before the pause",
    "edit": "nobody had planned before the schedule was edited",
    "skip": "somebody had asked to skip, until an edit of the schedule or a pause ended that",
}


@dataclass(frozen=True, slots=True)
class Unplanned:
    """Ticks that share one SKIPPED row, and what became of them."""

    span: Span
    why: str
    """To be read after "ticks that"."""


def unplanned(stretches: str | None, created_at: datetime) -> list[Unplanned]:
    """What the JSON in `cron_jobs.unplanned` stands for; stretches without a tick, or without sense, are left out.

    `created_at` (aware) is where `@every` counts from if its window has no start.
    """
    return [] if stretches is None else list(_read(stretches, created_at))


def _read(stretches: str, created_at: datetime) -> Iterator[Unplanned]:
    for stretch in _decoded(stretches):
        try:
            ticks = _span(stretch, created_at)
            if ticks is not None:
                yield Unplanned(ticks, _WHY[stretch["because"]] + _reason(stretch))
        except (ScheduleError, ValueError, TypeError, KeyError, OverflowError):
            continue  # by hand, or a schedule that had no ticks


def _decoded(stretches: str) -> list[Mapping[str, Any]]:
    """Those that are made as they should be: a mapping of texts."""
    try:
        found = json.loads(stretches)
    except (ValueError, RecursionError):
        return []
    return [each for each in found if isinstance(each, dict) and all(isinstance(v, str | None) for v in each.values())]


def _span(stretch: Mapping[str, Any], created_at: datetime) -> Span | None:
    starts_at, ends_at = _instant(stretch["starts_at"]), _instant(stretch["ends_at"])
    since, until = _instant(stretch["since"]), _instant(stretch["until"])
    if since is None or until is None:
        return None
    schedule = parse(stretch["cron_expression"], stretch["timezone"], anchor=anchor(starts_at, created_at, created_at))
    opens, closes = max(since, created_at) + INSTANT, until + INSTANT
    return span(schedule, max(opens, starts_at or opens), min(closes, ends_at or closes))


def _reason(stretch: Mapping[str, Any]) -> str:
    """What was said when it was paused, in one line."""
    said = " ".join((stretch.get("reason") or "").split())
    return f" ({said})" if said and stretch["because"] == "paused" else ""


def _instant(text: str | None) -> datetime | None:
    """A time as JSON has it; one that no datetime can hold is as far away as one can be."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        past = text == "-infinity" or text.endswith("BC")
        return EPOCH if past else HORIZON
