"""Instants as whole Unix seconds, exactly: no float ever stands between a datetime and a tick."""

from datetime import UTC, datetime, timedelta

MINUTE, HOUR, DAY = 60, 3_600, 86_400

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""No tick is earlier."""
HORIZON = datetime(9_000, 1, 1, tzinfo=UTC)
"""Every tick is earlier."""
INSTANT = timedelta(microseconds=1)
"""The least that a datetime can tell apart."""
EVER = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
"""What stands for -infinity and infinity, and for whatever no datetime can hold; any zone can tell both."""

_SECOND = timedelta(seconds=1)


def from_unix(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def floor_unix(instant: datetime) -> int:
    """The last whole second at or before `instant`, which must be aware."""
    return (instant - EPOCH) // _SECOND


def ceil_unix(instant: datetime) -> int:
    """The first whole second at or after `instant`, which must be aware."""
    return -((EPOCH - instant) // _SECOND)
