"""Declared cron jobs and the rows that they stand for: compare them, and make the rows as declared.

A row belongs to whoever `managed_by` names, or to whoever wrote it by hand. Nothing here touches the row of another
unless it is told to adopt it, nor what was edited since the last apply unless it is told to overwrite that.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from scheduler.errors import ConfigurationError, ConflictError, HandlerNotFoundError, ParamsError
from scheduler.handlers import HandlerRegistry
from scheduler.model import DeclaredCronJob
from scheduler.operations.differences import Columns, DeclaredRow, Difference, next_ticks, said, window_of
from scheduler.operations.json_values import same
from scheduler.store.asking import ask, database_time, one_transaction
from scheduler.store.session import SyncSession


class Action(StrEnum):
    """What becomes of a cron job."""

    CREATE = "create"
    ADOPT = "adopt"
    """The row of somebody else becomes ours."""
    CHANGE = "change"
    DRIFT = "drift"
    """Nothing: what differs was edited since the last apply."""
    TAKEN = "taken"
    """Nothing: its name belongs to somebody else's row."""
    REMOVE = "remove"
    NONE = "none"
    """Nothing: it is as declared."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything that a project declares, checked."""

    managed_by: str
    cron_jobs: tuple[DeclaredCronJob, ...]


@dataclass(frozen=True, slots=True)
class Options:
    adopt: bool = False
    """Take over rows of others that have the name of a declared cron job."""
    overwrite: bool = False
    """Write over what was edited since the last apply."""


DEFAULT = Options()


@dataclass(frozen=True, slots=True)
class Step:
    """One cron job, and what becomes of it."""

    action: Action
    name: str
    where: str | None
    """Of the declaration; None: there is none any more."""
    managed_by: str | None
    """Whose the row is; None: written by hand, or there is none yet."""
    differences: tuple[Difference, ...] = ()
    next_ticks: tuple[datetime, ...] = ()
    """The first ones under a schedule that is new; in the zone of the cron job."""
    renamed_to: str | None = None
    """A declared one to be created that is the same but for its name."""
    paused: bool = False
    """The row is paused now."""
    applied: Columns = field(default_factory=dict)
    """What is declared, less what is left: the row's `declared` from now on."""

    @property
    def changes(self) -> Columns:
        return {difference.column: difference.declared for difference in self.differences if not difference.left}


@dataclass(frozen=True, slots=True)
class Others:
    """Rows of one other owner, whose names are not declared."""

    managed_by: str | None
    count: int
    names: list[str]
    """The first ten."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is declared here, and all rows of this owner, by name."""

    managed_by: str
    cron_jobs: tuple[Step, ...]
    others: tuple[Others, ...]

    @property
    def steps(self) -> list[Step]:
        """Those that are not as declared."""
        return [step for step in self.cron_jobs if step.action is not Action.NONE]

    def those(self, *actions: Action) -> list[Step]:
        return [step for step in self.cron_jobs if step.action in actions]


def whose(managed_by: str | None) -> str:
    return "written by hand" if managed_by is None else f"managed by {managed_by}"


def gather(declared: Iterable[DeclaredCronJob], handlers: HandlerRegistry, managed_by: str | None) -> Declarations:
    """All that is declared. Raises ConfigurationError with a line for each that can't become a row."""
    cron_jobs = tuple(sorted(declared, key=lambda job: job.name))
    if managed_by is None and not cron_jobs:
        raise ConfigurationError(
            "No cron job is declared: write some under `cron_jobs` in the settings or as @handler(…, cron=…), and "
            "`managed_by: NAME` into the settings, such as the project's name."
        )
    if managed_by is None:
        raise ConfigurationError(
            "Declared cron jobs need an owner, so that no other project on the same database removes them: write "
            "`managed_by: NAME` into the settings, such as the project's name, or set SCHEDULER_MANAGED_BY."
        )
    problems = [*_twice(cron_jobs), *_unfit(cron_jobs, handlers)]
    if len(problems) > 1:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigurationError(f"The declared cron jobs have {len(problems)} problems:\n{lines}")
    if problems:
        raise ConfigurationError(problems[0])
    return Declarations(managed_by, cron_jobs)


def plan(session: SyncSession, declarations: Declarations, options: Options = DEFAULT) -> Comparison:
    """What `apply` would do, and what it would leave. Raises as `ask()` does."""
    now = database_time(session)
    rows = {row["name"]: DeclaredRow.of(row) for row in ask(session, "declared_cron_jobs", **_selection(declarations))}
    others = tuple(Others(**row) for row in ask(session, "cron_jobs_of_others", **_selection(declarations)))
    steps = [_step(job, rows.pop(job.name, None), declarations, options, now) for job in declarations.cron_jobs]
    created = [step for step in steps if step.action is Action.CREATE]
    steps += [_removal(row, created) for row in rows.values()]
    return Comparison(declarations.managed_by, tuple(sorted(steps, key=lambda step: step.name)), others)


def apply(
    session: SyncSession,
    declarations: Declarations,
    options: Options = DEFAULT,
    *,
    may_remove: Collection[str] | None = None,
    leave_taken: bool = False,
) -> Comparison:
    """Make the rows as declared, all of them or none; the comparison tells what was done. Idempotent.

    `may_remove` names the rows that may go; None: all that are no longer declared.
    Raises ConflictError if a name is taken, unless `leave_taken`, and for any other row to be removed; and as `ask()`.
    """
    with one_transaction(session):
        ask(session, "apply_in_turn")
        ask(session, "lock_declared_cron_jobs", **_selection(declarations))
        comparison = plan(session, declarations, options)
        if not leave_taken:
            refuse_taken(comparison)
        if may_remove is not None:
            _refuse_more(comparison.those(Action.REMOVE), may_remove)
        _remove(session, comparison)
        _create(session, comparison)
        _change(session, comparison)
    return comparison


def refuse_taken(comparison: Comparison) -> None:
    """Raises ConflictError if a declared name belongs to the row of somebody else."""
    taken = comparison.those(Action.TAKEN)
    if taken:
        named = ", ".join(f"{step.name} ({whose(step.managed_by)})" for step in taken)
        raise ConflictError(
            f"A declared name belongs to a row of somebody else: {named}. Nothing was changed: rename what is "
            "declared, or take the row over with --adopt."
        )


def _twice(cron_jobs: Iterable[DeclaredCronJob]) -> Iterator[str]:
    first: dict[str, DeclaredCronJob] = {}
    for job in cron_jobs:
        other = first.setdefault(job.name, job)
        if other is not job:
            yield f"The cron job {job.name!r} is declared twice: at {other.where}, and at {job.where}. Rename one."


def _unfit(cron_jobs: Iterable[DeclaredCronJob], handlers: HandlerRegistry) -> Iterator[str]:
    for job in cron_jobs:
        try:
            handlers.get(job.columns["handler_name"]).decode(json.dumps(job.columns["handler_params"]))
        except HandlerNotFoundError as error:
            yield f"The cron job {job.name!r} ({job.where}) can't run. {str(error).partition(' A new one')[0]}"
        except ParamsError as error:
            yield f"The cron job {job.name!r} ({job.where}) can't run. {error}"
        if (window := window_of(job.columns)) is not None and window[1] <= window[0]:
            yield (
                f"The cron job {job.name!r} ({job.where}) ends before it starts: "
                "write an ends_at that is later than its starts_at."
            )


def _selection(declarations: Declarations) -> Mapping[str, Any]:
    return {"managed_by": declarations.managed_by, "names": [job.name for job in declarations.cron_jobs]}


def _step(
    job: DeclaredCronJob, row: DeclaredRow | None, declarations: Declarations, options: Options, now: datetime
) -> Step:
    if row is None:
        new = said(job)
        ticks = next_ticks(job.columns, new, now, now)
        return Step(Action.CREATE, job.name, job.where, None, new, ticks, applied=job.columns)
    ours = row.managed_by == declarations.managed_by
    if not ours and not options.adopt:
        return Step(Action.TAKEN, job.name, job.where, row.managed_by)
    if not ours:
        row = row.adopted()
    differences = row.differences(job, overwrite=options.overwrite)
    return Step(
        _action(differences) if ours else Action.ADOPT,
        job.name,
        job.where,
        row.managed_by,
        differences,
        next_ticks(row.columns, differences, row.created_at, now),
        paused=row.paused,
        applied=row.applied_after(job, differences),
    )


def _action(differences: tuple[Difference, ...]) -> Action:
    if not differences:
        return Action.NONE
    return Action.DRIFT if all(difference.left for difference in differences) else Action.CHANGE


def _removal(row: DeclaredRow, created: Iterable[Step]) -> Step:
    renamed_to = next((step.name for step in created if same(step.applied, row.applied)), None)
    return Step(Action.REMOVE, row.name, None, row.managed_by, row.edits(), renamed_to=renamed_to, paused=row.paused)


def _refuse_more(removals: Sequence[Step], may_remove: Collection[str]) -> None:
    more = [step.name for step in removals if step.name not in may_remove]
    if more:
        raise ConflictError(
            f"Meanwhile {', '.join(more)} would be removed, too. Nothing was changed: look at `scheduler cron plan` "
            "again."
        )


def _remove(session: SyncSession, comparison: Comparison) -> None:
    names = [step.name for step in comparison.those(Action.REMOVE)]
    if names:
        ask(session, "remove_declared", managed_by=comparison.managed_by, names=names)


def _create(session: SyncSession, comparison: Comparison) -> None:
    rows = [
        {"name": step.name, "enabled": True, **step.applied, "declared": step.applied}
        for step in comparison.those(Action.CREATE)
    ]
    if not rows:
        return
    created = {row["name"] for row in _ask_with(session, "create_declared", comparison, rows)}
    missing = [row["name"] for row in rows if row["name"] not in created]
    if missing:
        raise ConflictError(
            f"Somebody has just inserted {', '.join(missing)} by hand. Nothing was changed: look at "
            "`scheduler cron plan` again."
        )


def _change(session: SyncSession, comparison: Comparison) -> None:
    steps = comparison.those(Action.ADOPT, Action.CHANGE, Action.DRIFT, Action.NONE)
    rows = [{"name": step.name, "changes": step.changes, "declared": step.applied} for step in steps]
    if rows:
        _ask_with(session, "change_declared", comparison, rows)


def _ask_with(session: SyncSession, statement: str, comparison: Comparison, rows: object) -> list[dict[str, Any]]:
    return ask(session, statement, managed_by=comparison.managed_by, rows=json.dumps(rows))
