"""Cron jobs: edit, pause, resume, remove, run. The same functions that people call in psql do it."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from scheduler.errors import ConflictError, NotFoundError
from scheduler.operations.cron_job_page import CronJob, find
from scheduler.operations.cron_jobs import (
    Change,
    CronJobDefinition,
    differences,
    id_of,
    names,
    require_window,
    taken,
    unknown,
)
from scheduler.rules.schedule import parse
from scheduler.store.asking import ask
from scheduler.store.session import SyncSession


def edit(session: SyncSession, seen: CronJob, wanted: CronJobDefinition) -> list[Change]:
    """Make the row that somebody has seen what is wanted of it; what has changed, from one to other.

    Nothing is written unless all of it can be. Raises ScheduleError, RefusedError, NotFoundError if it is gone, and
    ConflictError if a new name is taken or somebody else has edited it since it was seen.
    """
    changes = differences(seen.definition, wanted)
    changed = {change.column for change in changes}
    if changed & {"cron_expression", "timezone"}:
        parse(wanted.cron_expression, wanted.timezone, anchor=seen.anchor)
    if changed & {"starts_at", "ends_at"}:
        require_window(wanted)
    if "name" in changed and wanted.name in names(session):
        raise ConflictError(taken(wanted.name))
    if changes and not _write(session, seen, wanted, changed):
        raise ConflictError(_overtaken(seen, find(session, seen.name)))
    return changes


def _write(session: SyncSession, seen: CronJob, wanted: CronJobDefinition, changed: set[str]) -> bool:
    """Only what has changed; False if the row isn't the one that was seen any more."""
    values = {column: _plain(value) for column, value in asdict(wanted).items() if column in changed}
    params = values.pop("handler_params", None)  # as its text: Python would round its numbers
    written = ask(
        session,
        "edit_cron_job",
        id=seen.id,
        version=seen.version,
        changes=json.dumps(values),
        handler_params=params,
    )
    return bool(written)


def _plain(value: object) -> object:
    """As JSON has it, and a number that it doesn't have as the text that the table's rules refuse."""
    match value:
        case datetime():
            return value.isoformat()
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def pause(
    session: SyncSession, chosen: Sequence[str], *, reason: str | None = None, resume_at: datetime | None = None
) -> list[str]:
    """Stop planning them, until `resume_at` (aware) or a resume; what is planned still runs.

    Those that were not paused before; the others get the new reason and end, if there is one. Raises NotFoundError, and
    RefusedError for an end that is past.
    """
    enabled = _require(session, chosen)
    told = reason is not None or resume_at is not None
    changed = [name for name in chosen if told or enabled[name]]
    ask(session, "pause_cron_jobs", names=changed, reason=reason, resume_at=resume_at)
    return [name for name in chosen if enabled[name]]


def resume(session: SyncSession, chosen: Sequence[str]) -> list[str]:
    """Plan them again from now on; the pause isn't made up for. Those that were paused before. Raises NotFoundError."""
    enabled = _require(session, chosen)
    ask(session, "resume_cron_jobs", names=list(chosen))
    return [name for name in chosen if not enabled[name]]


def remove(session: SyncSession, chosen: Sequence[str]) -> list[CronJob]:
    """Delete them all, or none: Raises NotFoundError. Their executions stay, and those that wait still run."""
    _require(session, chosen)
    jobs = [find(session, name) for name in dict.fromkeys(chosen)]
    ask(session, "remove_cron_jobs", ids=[job.id for job in jobs])
    return jobs


def run(session: SyncSession, name: str) -> int:
    """Enqueue an execution now, also of a paused one; its id. Raises NotFoundError."""
    id_of(session, name)
    (row,) = ask(session, "run_cron_job", name=name)
    return int(row["id"])


def _require(session: SyncSession, chosen: Sequence[str]) -> dict[str, bool]:
    """Which of them are enabled."""
    found: dict[str, bool] = {
        row["name"]: row["enabled"] for row in ask(session, "cron_jobs_named", names=list(chosen))
    }
    for name in chosen:
        if name not in found:
            nothing = " Nothing was changed." if len(chosen) > 1 else ""
            raise NotFoundError(f"{unknown(name, names(session))}{nothing}")
    return found


def _overtaken(seen: CronJob, now: CronJob) -> str:
    changed = [f"{it.column}: {it.one!s} → {it.other!s}" for it in differences(seen.definition, now.definition)]
    what = f" ({', '.join(changed)})" if changed else ""
    return f"Somebody else has edited cron job {seen.name!r} meanwhile{what}, so nothing was written: edit it again."
