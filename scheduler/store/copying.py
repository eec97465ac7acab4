"""Rows as the text that COPY takes. What thousands share, all but their id and their params, is rendered once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from scheduler.errors import RefusedError
from scheduler.model import NewExecution

COLUMNS: Final = (
    "id",
    "handler_params",
    "handler_name",
    "queue",
    "priority",
    "available_at",
    "timeout_seconds",
    "max_retry",
    "concurrency_key",
    "concurrency_limit",
    "notify_done",
)
_BLOCK: Final = 1_000
"""Rows of one message to the server."""
_OF_CRON_JOBS: Final = ("cron:", "backfill:")
_MOST_DELAY: Final = 3_155_760_000
_BACKSLASH: Final = "\\"
_ESCAPED_BACKSLASH: Final = 2 * _BACKSLASH
"""In JSON it is all that needs escaping."""
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

Row = tuple[NewExecution, str]
"""What many rows may share, and the JSON of this one's params."""


def copied(rows: Iterable[Row], ids: Sequence[int], now: float) -> Iterator[tuple[str, int]]:
    """Blocks of the rows under these ids, `COLUMNS` each, and how many there are in each block.

    `now` is the database's time in Unix seconds. Raises RefusedError, in the words of enqueue_job(), for what only that
    would refuse in such words.
    """
    shared, rest = None, ""
    numbered = zip(ids, rows, strict=False)
    while block := list(islice(numbered, _BLOCK)):
        lines = []
        for id_, (new, params) in block:
            if new is not shared:
                shared, rest = new, _rest(new, now)
            lines.append(f"{id_}\t{params.replace(_BACKSLASH, _ESCAPED_BACKSLASH)}\t{rest}")
        yield "".join(lines), len(lines)


def _rest(new: NewExecution, now: float) -> str:
    if new.concurrency_key is not None and new.concurrency_key.startswith(_OF_CRON_JOBS):
        raise RefusedError(
            f'concurrency_key "{new.concurrency_key}" is one of a cron job. Write one that begins with neither '
            "cron: nor backfill:."
        )
    values = (
        new.handler_name,
        new.queue,
        new.priority,
        _available_at(new, now),
        new.timeout_seconds,
        new.max_retry,
        new.concurrency_key,
        new.concurrency_limit,
        new.notify_done,
    )
    return "\t".join("\\N" if value is None else str(value).translate(_ESCAPED) for value in values) + "\n"


def _available_at(new: NewExecution, now: float) -> str:
    if not 0 <= new.delay_seconds <= _MOST_DELAY:
        raise RefusedError(
            f"delay_seconds {new.delay_seconds:g} is out of range. Write seconds, 0 to {_MOST_DELAY} (100 years)."
        )
    base = new.available_at or datetime.fromtimestamp(now, UTC)
    try:
        return (base.astimezone(UTC) + timedelta(seconds=new.delay_seconds)).isoformat()
    except OverflowError:
        raise RefusedError(f"available_at {base} is out of range. Write a time from 1970 to 9999.") from None
