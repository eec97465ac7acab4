"""Time zones from the `tzdata` package, never from the host: every host then agrees on every tick."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION  # type: ignore[import-untyped]  # the package ships no types

from scheduler.errors import ScheduleError, did_you_mean
from scheduler.rules.instants import DAY, from_unix

_CHUNK = 32 * DAY


_ABBREVIATION = re.compile(r"[A-Z]{2,5}")
_HALVES = (datetime(2025, 1, 15), datetime(2025, 7, 15))  # noqa: DTZ001 - each zone makes them its own
_WELL_KNOWN = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Europe/London", "Europe/Berlin",
    "Europe/Helsinki", "Asia/Seoul", "Asia/Tokyo", "Asia/Shanghai", "Asia/Kolkata", "Australia/Sydney",
)  # fmt: skip
"""Named before others that share an abbreviation with them."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time during which the offset from UTC doesn't change: [start, end) in Unix seconds, offsets in seconds.

    A long one comes in pieces; the piece that begins at no change of the clock has `before` equal to `offset`.
    """

    start: int
    end: int
    offset: int
    before: int
    """The offset in force until `start`."""

    @property
    def jump(self) -> int:
        """By how much the wall clock went forward (> 0) or back (< 0) at `start`."""
        return self.offset - self.before


def tzdata_version() -> str:
    """The version of the IANA database in use, such as "2026b"."""
    return str(IANA_VERSION)


@cache
def zone_names() -> frozenset[str]:
    """Every zone of the IANA database, links such as `US/Eastern` included."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@cache
def load_zone(name: str) -> ZoneInfo:
    """The zone of that exact name; the same object each time.

    Raises ScheduleError for any other name, before a file is touched.
    """
    if name not in zone_names():
        raise ScheduleError(_unknown_zone(name))
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def stretch_at(zone: ZoneInfo, instant: int) -> Stretch:
    """The stretch that holds `instant` (Unix seconds, 1970 to 8999); it began at least a day before, or at a jump."""
    return next(stretch for stretch in _stretches(zone, instant // _CHUNK) if instant < stretch.end)


def jumps(zone: ZoneInfo, start: int, end: int) -> Iterator[Stretch]:
    """The stretches that begin with a jump of the wall clock in [start, end), in Unix seconds from 1970 to 8999."""
    for chunk in range(start // _CHUNK, end // _CHUNK + 1):
        for stretch in _stretches(zone, chunk):
            if stretch.jump and stretch.start // _CHUNK == chunk and start <= stretch.start < end:
                yield stretch


def _unknown_zone(name: str) -> str:
    shown = name if len(name) <= 60 else f"{name[:60]}…"
    if _ABBREVIATION.fullmatch(name) and (meant := _abbreviated(name)):
        return f"{name!r} is an abbreviation, which names no zone for certain: write one such as {', '.join(meant)}."
    spelled = {known.lower(): known for known in zone_names()}.get(shown.lower(), shown)
    hint = did_you_mean(spelled, zone_names())
    return f"The time zone {shown!r} is unknown: write an IANA name such as 'Asia/Seoul'.{hint}"


def _abbreviated(name: str) -> list[str]:
    """Zones whose clocks show this abbreviation in some winter or summer: of the well-known ones, else the first."""
    found = [
        known
        for known in (*_WELL_KNOWN, *sorted(zone_names()))
        if "/" in known and name in {load_zone(known).tzname(half.replace(tzinfo=load_zone(known))) for half in _HALVES}
    ]
    return list(dict.fromkeys(found))[:3]


@lru_cache(maxsize=4096)
def _stretches(zone: ZoneInfo, chunk: int) -> tuple[Stretch, ...]:
    """The stretches of one chunk and of the day before it, so that a jump's aftermath is seen across the border."""
    start, end = chunk * _CHUNK - DAY, (chunk + 1) * _CHUNK
    # No zone ever changed its offset twice within a day, so looking once a day misses nothing.
    jumps = [
        _jump_between(zone, morning, evening)
        for morning, evening in pairwise(range(start, end + 1, DAY))
        if _offset(zone, morning) != _offset(zone, evening)
    ]
    return tuple(
        Stretch(begin, until, _offset(zone, begin), _offset(zone, begin - 1))
        for begin, until in pairwise([start, *jumps, end])
    )


def _jump_between(zone: ZoneInfo, earlier: int, later: int) -> int:
    """The first second that has the offset of `later`."""
    offset = _offset(zone, later)
    return earlier + bisect_left(range(earlier, later), True, key=lambda instant: _offset(zone, instant) == offset)


def _offset(zone: ZoneInfo, instant: int) -> int:
    offset = from_unix(instant).astimezone(zone).utcoffset()
    assert offset is not None  # a ZoneInfo knows the offset of every aware datetime
    return int(offset.total_seconds())
