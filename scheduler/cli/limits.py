"""Limits of queues, as `scheduler queues limit` reads and tells them."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from scheduler.cli.moments import parsed_span

if TYPE_CHECKING:
    from scheduler.operations.queues import Limits, QueueStatus

NONE = "none"
FOREVER = "forever"
_RATE = re.compile(r"(\d+)\s*/\s*(\d+(?:\.\d+)?)?\s*(ms|s|m|h|d|w)")
_SAID = (("d", 86_400), ("h", 3_600), ("min", 60))
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parsed_limits(
    *, max_running: str | None, rate: str | None, max_pending: str | None, key_limit: str | None,
    pause_after: str | None, pause_for: str | None, aging: str | None, keep_days: str | None, keep_last: str | None,
) -> Mapping[str, float | None]:  # fmt: skip
    """What to set, and to lift (None), of what was given. Raises BadParameter, which names the option."""
    changes: dict[str, float | None] = {}
    for column, option, given in (
        ("max_running", "--max-running", max_running),
        ("max_pending", "--max-pending", max_pending),
        ("key_limit", "--key-limit", key_limit),
        ("pause_after_failures", "--pause-after", pause_after),
    ):
        if given is not None:
            changes[column] = _number(given, option)
    if rate is not None:
        changes["rate_limit"], changes["rate_period_seconds"] = _rate(rate)
    for column, option, given in (("pause_seconds", "--pause-for", pause_for), ("aging_seconds", "--aging", aging)):
        if given is not None:
            changes[column] = None if given == NONE else parsed_span(given, option).total_seconds()
    if keep_days is not None:
        changes["keep_days"] = _days(keep_days)
    if keep_last is not None:
        changes["keep_last"] = _number(keep_last, "--keep-last", least=0)
    return changes


def as_object(limits: "Limits") -> Mapping[str, object]:
    """For JSON, which has no infinity."""
    return {**asdict(limits), "keep_days": FOREVER if limits.keep_days == math.inf else limits.keep_days}


def in_words(limits: "Limits | QueueStatus") -> str:
    """Such as "7 at once, 100 per second, 1000 waiting"; empty where there is none."""
    said = []
    if limits.max_running is not None:
        said.append(f"{limits.max_running} at once")
    if limits.rate_limit is not None and limits.rate_period_seconds is not None:
        said.append(f"{limits.rate_limit} per {_period(limits.rate_period_seconds)}")
    if limits.key_limit is not None:
        said.append(f"{limits.key_limit} of a key")
    if limits.max_pending is not None:
        said.append(f"{limits.max_pending} waiting")
    return ", ".join(said)


def breaker_in_words(limits: "Limits") -> str:
    """When a queue pauses itself; empty where it does not."""
    if limits.pause_after_failures is None:
        return ""
    lasting = "until it is resumed" if limits.pause_seconds is None else f"for {_period(limits.pause_seconds)}"
    return f"pauses {lasting} after {limits.pause_after_failures} failures in a row"


def aging_in_words(limits: "Limits") -> str:
    """How what waits is lifted; empty where it is not."""
    if limits.aging_seconds is None:
        return ""
    return f"lifts what waits by a level each {_period(limits.aging_seconds)}"


def retention_in_words(limits: "Limits") -> str:
    """What becomes of its final executions; empty where the setting `retention` says."""
    kept = []
    if limits.keep_days is not None:
        forever = math.isinf(limits.keep_days)
        kept.append("for ever" if forever else f"for {limits.keep_days:g} {'day' if limits.keep_days == 1 else 'days'}")
    if limits.keep_last is not None:
        kept.append(f"the newest {limits.keep_last}")
    return f"keeps what is over {' and '.join(kept)}" if kept else ""


def _period(seconds: float) -> str:
    """Exactly, in the largest unit that does it."""
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    name, unit = next(((name, unit) for name, unit in _SAID if seconds % unit == 0), ("s", 1))
    return f"{seconds / unit:g} {name}"


def _number(text: str, option: str, least: int = 1) -> int | None:
    if text == NONE:
        return None
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
        raise typer.BadParameter(f"{text!r} is no limit: write a number from {least} on, or {NONE}.", param_hint=option)
    return int(text)


def _days(text: str) -> float | None:
    if text in (NONE, FOREVER):
        return math.inf if text == FOREVER else None
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text):
        raise typer.BadParameter(
            f"{text!r} is no number of days: write one from 0 on, {FOREVER}, or {NONE}.", param_hint="--keep-days"
        )
    return float(text)


def _rate(text: str) -> tuple[int | None, float | None]:
    if text == NONE:
        return None, None
    found = _RATE.fullmatch(text)
    if not found or not (_number(found[1], "--rate") and (seconds := float(found[2] or 1) * _UNITS[found[3]])):
        raise typer.BadParameter(f"{text!r} is no rate: write 100/1s, 10/m or 5/30s, or {NONE}.", param_hint="--rate")
    return int(found[1]), seconds
