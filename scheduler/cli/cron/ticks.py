"""Ticks as a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from scheduler.cli.moments import in_zone, relative

if TYPE_CHECKING:
    from scheduler.operations.preview import Tick

HOW_MANY = 3


def print_ticks(ticks: "Sequence[Tick]", now: datetime) -> None:
    from scheduler.cli.tables import print_table

    print_table(
        ("local", "UTC", "when"),
        ((in_zone(tick.local), f"{tick.utc:%Y-%m-%d %H:%M:%S}", relative(tick.utc, now)) for tick in ticks),
    )


def tick_json(tick: "Tick | None") -> dict[str, str] | None:
    """Local times keep their offset."""
    return None if tick is None else {"utc": tick.utc.isoformat(), "local": tick.local.isoformat()}
