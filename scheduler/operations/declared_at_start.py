"""Declared cron jobs when a worker starts: applied with a line for each, or a warning that they are not."""

import json
from collections.abc import Iterable, Sequence
from typing import assert_never

from scheduler.messages import log
from scheduler.model import DeclaredCronJob
from scheduler.operations.declared import Action, Declarations, Step, apply, plan
from scheduler.operations.differences import Difference
from scheduler.store.session import SyncSession


def apply_at_start(session: SyncSession, declarations: Declarations) -> None:
    """As `apply`, for nobody to answer: what was edited or is somebody else's is left, with a warning.

    Where nothing at all is declared, no row is removed: a folder that was not there must not empty a database.
    """
    if not declarations.cron_jobs:
        removals = plan(session, declarations).those(Action.REMOVE)
        if removals:
            log("declared.kept", count=len(removals), managed_by=declarations.managed_by)
        return
    for step in apply(session, declarations, leave_taken=True).steps:
        _tell(step, declarations.managed_by)


def tell_unapplied(session: SyncSession, declared: Sequence[DeclaredCronJob], managed_by: str | None) -> None:
    """One warning if rows are not as declared; what is declared need not be checked."""
    count = len(declared)
    if managed_by is not None:
        count = len(plan(session, Declarations(managed_by, tuple(declared))).steps)
    if count:
        log("declared.not_applied", count=count)


def _tell(step: Step, managed_by: str) -> None:
    changed = [difference for difference in step.differences if not difference.left]
    left = [difference for difference in step.differences if difference.left]
    match step.action:
        case Action.CREATE:
            schedule = step.applied["cron_expression"], step.applied["timezone"]
            log("declared.created", name=step.name, schedule=", ".join(schedule))
        case Action.CHANGE | Action.ADOPT:
            log("declared.changed", name=step.name, changes=_words(changed))
        case Action.REMOVE:
            log("declared.removed", name=step.name, managed_by=managed_by)
        case Action.TAKEN:
            log("declared.taken", name=step.name, owner=step.managed_by or "NULL")
        case Action.DRIFT | Action.NONE:
            pass  # what is left is told of every action
        case _:
            assert_never(step.action)
    if left and step.action is not Action.REMOVE:
        log("declared.drift", name=step.name, columns=", ".join(difference.column for difference in left))


def _words(differences: Iterable[Difference]) -> str:
    return ", ".join(
        f"{difference.column} {_json(difference.row)} → {_json(difference.declared)}" for difference in differences
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
