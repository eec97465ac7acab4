"""A declared cron job beside its row: what differs, and who made it differ.

Three values decide, column by column: what is declared, what the row holds, and what was declared when the row was last
applied. A row that no longer holds that was edited since, and the edit stays unless it is to be overwritten.

    declared  row  applied
       2       1      1     the declaration changed: to be written
       1       2      1     the row was edited: left
       3       2      1     both: left
       2       2      1     somebody was quicker: nothing to do
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Self

from scheduler.errors import ScheduleError
from scheduler.handlers.cron import DEFAULTS
from scheduler.model import DeclaredCronJob
from scheduler.operations.json_values import decoded, same
from scheduler.rules.instants import HORIZON, INSTANT
from scheduler.rules.schedule import anchor, parse

_SCHEDULE = frozenset({"cron_expression", "timezone", "starts_at", "ends_at", "enabled"})
_ALWAYS_SAID = frozenset({"cron_expression", "timezone", "handler_name"})
_TICKS = 2

Columns = Mapping[str, Any]
"""As JSON has them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """In one column. Values as JSON has them."""

    column: str
    row: Any
    """None, too, where there is no row yet."""
    declared: Any
    """None, too, where nothing is declared any more."""
    edited: bool = False
    """The row was edited since it was applied."""
    left: bool = False
    """And stays as it is."""


@dataclass(frozen=True, slots=True)
class DeclaredRow:
    """A row with what was last applied to it."""

    name: str
    managed_by: str | None
    created_at: datetime
    columns: Columns
    applied: Columns
    """Empty where nothing was, or somebody wrote over it."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From the statement `declared_cron_jobs`."""
        own = {"name", "managed_by", "created_at", "declared"}
        columns = {name: _plain(value) for name, value in row.items() if name not in own}
        columns["handler_params"] = decoded(row["handler_params"])
        applied = decoded(row["declared"] or "{}")
        return cls(
            row["name"], row["managed_by"], row["created_at"], columns, applied if isinstance(applied, dict) else {}
        )

    @property
    def paused(self) -> bool:
        return not self.columns["enabled"]

    def differences(self, job: DeclaredCronJob, *, overwrite: bool) -> tuple[Difference, ...]:
        """From the declaration."""
        return tuple(self._differences(job, overwrite))

    def edits(self) -> tuple[Difference, ...]:
        """Since it was applied, whatever is declared now."""
        return tuple(
            Difference(column, self.columns[column], applied, edited=True, left=True)
            for column, applied in self.applied.items()
            if column in self.columns and not same(self.columns[column], applied)
        )

    def _differences(self, job: DeclaredCronJob, overwrite: bool) -> Iterator[Difference]:
        edited_since = {edit.column for edit in self.edits()}
        for column, declared in self._wanted(job.columns).items():
            if not same(self.columns[column], declared):
                edited = column in edited_since
                yield Difference(column, self.columns[column], declared, edited, left=edited and not overwrite)

    def _wanted(self, declared: Columns) -> Columns:
        """A pause that was declared ends with its declaration; one that was not declared is none of ours."""
        was = self.applied.get("enabled")
        if "enabled" not in declared and was is not None and was == self.columns["enabled"]:
            return {**declared, "enabled": True}
        return declared

    def adopted(self) -> Self:
        """As if nothing had been applied: whatever differs is to be changed."""
        return replace(self, applied={})

    def applied_after(self, job: DeclaredCronJob, differences: tuple[Difference, ...]) -> Columns:
        """What is applied once these differences are gone: the declaration, but for what is left."""
        left = {difference.column for difference in differences if difference.left}
        return {column: self.applied[column] if column in left else value for column, value in job.columns.items()}


def said(job: DeclaredCronJob) -> tuple[Difference, ...]:
    """What makes a row that isn't there yet, less what says nothing."""
    return tuple(
        Difference(column, None, value)
        for column, value in job.columns.items()
        if column in _ALWAYS_SAID or not same(value, DEFAULTS.get(column))
    )


def next_ticks(
    columns: Columns, differences: tuple[Difference, ...], created_at: datetime, now: datetime
) -> tuple[datetime, ...]:
    """In the zone of the cron job, once the differences are gone; none unless they touch its schedule."""
    changes = {difference.column: difference.declared for difference in differences if not difference.left}
    after = {**columns, **changes}
    if not _SCHEDULE & changes.keys() or not after.get("enabled", True):
        return ()
    starts_at, ends_at = _moment(after["starts_at"]), _moment(after["ends_at"])
    try:
        schedule = parse(after["cron_expression"], after["timezone"], anchor=anchor(starts_at, created_at, now))
    except ScheduleError:
        return ()  # of a row whose own edit is left: `invalid_reason` tells
    # What was due up to now is not made up for.
    ticks = schedule.between(max(now + INSTANT, starts_at or now), ends_at or HORIZON)
    return tuple(tick.astimezone(schedule.zone) for tick in islice(ticks, _TICKS))


def window_of(columns: Columns) -> tuple[datetime, datetime] | None:
    """Where a cron job starts and ends; None unless it says both."""
    starts_at, ends_at = _moment(columns.get("starts_at")), _moment(columns.get("ends_at"))
    return None if starts_at is None or ends_at is None else (starts_at, ends_at)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
