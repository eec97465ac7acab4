"""Instants as whole Unix seconds, exactly: no float ever stands between a datetime and a tick."""

from datetime import UTC, datetime, timedelta

MINUTE, HOUR, DAY = 60, 3_600, 86_400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def from_unix(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


def floor_unix(instant: datetime) -> int:
    """The last whole second at or before `instant`, which must be aware."""
    return (instant - _EPOCH) // _SECOND


def ceil_unix(instant: datetime) -> int:
    """The first whole second at or after `instant`, which must be aware."""
    return -((_EPOCH - instant) // _SECOND)
