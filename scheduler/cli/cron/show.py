"""`scheduler cron show`: everything about one cron job, in the order in which one asks."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli import completion
from scheduler.cli.cron.listing import state
from scheduler.cli.cron.ticks import print_ticks, tick_json
from scheduler.cli.moments import duration, relative, when
from scheduler.cli.options import AsJson
from scheduler.cli.pausing import until_in_words
from scheduler.cli.printable import printable
from scheduler.cli.project import connected
from scheduler.cli.values import HIDDEN
from scheduler.model import CatchUp, OverlapPolicy
from scheduler.operations.words import span

if TYPE_CHECKING:
    from scheduler.operations.cron_job_page import CronJob, CronJobPage, NewestExecution

_HEADERS = ("id", "source", "status", "scheduled", "took", "attempt", "error")
_LATE_SECONDS = 15
"""Longer than any planner takes that is alive."""
_OVERLAP = {
    OverlapPolicy.SKIP: "a tick is skipped while an earlier execution isn't final",
    OverlapPolicy.QUEUE: "a tick waits until earlier executions are final",
    OverlapPolicy.ALLOW: "executions may run side by side",
    OverlapPolicy.REPLACE: "a tick cancels the execution before it",
}
_CATCH_UP = {
    CatchUp.LATEST: "of missed ticks, the newest still runs",
    CatchUp.SKIP: "missed ticks don't run",
    CatchUp.ALL: "missed ticks still run, the newest {limit} of them",
}


def show(
    name: Annotated[str, typer.Argument(help="As `cron list` prints it.", autocompletion=completion.cron_jobs)],
    as_json: AsJson = False,
) -> None:
    """Show everything about one cron job: when, what and how it runs, its newest executions, and what is wrong.

    Example: scheduler cron show nightly
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.cron_job_page import show as show_it
    from scheduler.operations.overview import database_time

    with connected() as (_, session):
        page, now = show_it(session, name), database_time(session)
    if as_json:
        more = {
            "words": page.words,
            "refusal": page.refusal,
            "next_ticks": [tick_json(tick) for tick in page.ticks],
            "skipped_until": page.skipped_until,
            "executions": page.executions,
        }
        print_json({**as_object(page.cron_job), **more})
    else:
        _print_page(page, now)


def as_object(job: "CronJob") -> Mapping[str, Any]:
    """For JSON: the columns by their names, params as JSON."""
    from scheduler.operations.json_values import decoded

    row = asdict(job)
    del row["version"]
    return {"id": row.pop("id"), **row, "handler_params": decoded(job.handler_params)}


def _print_page(page: "CronJobPage", now: datetime) -> None:
    from scheduler.cli.tables import print_fields, print_table

    job = page.cron_job
    print_fields(dict(_fields(page, now)))
    if page.ticks:
        typer.echo("\nNext ticks:")
        print_ticks(page.ticks, now)
    if page.executions:
        typer.echo("\nNewest executions:")
        print_table(_HEADERS, (_cells(execution, now) for execution in page.executions), long="error")
    for problem in _problems(page, now):
        typer.echo(printable(f"\n{problem}"))
    if not page.executions and job.enabled:
        typer.echo(printable(f"\nIt has no execution yet: `scheduler cron run {_quoted(job)}` makes one now."))


def _fields(page: "CronJobPage", now: datetime) -> Iterator[tuple[str, object]]:
    from scheduler.operations.json_values import decoded

    job = page.cron_job
    yield "cron job", job.name
    yield "id", job.id
    yield "state", "invalid" if job.enabled and page.refusal is not None else state(job)
    yield "description", job.description
    yield "schedule", job.cron_expression if page.words is None else f"{job.cron_expression} ({page.words})"
    yield "zone", job.timezone
    yield "handler", job.handler_name
    yield "params", HIDDEN if job.params_hidden else _params(decoded(job.handler_params))
    yield "queue", f"{job.queue}, priority {job.priority}"
    yield "timeout", "the handler's own" if job.timeout_seconds is None else f"{job.timeout_seconds:g} s"
    yield "tries", _tries(job)
    yield "overlap", f"{job.overlap_policy}: {_OVERLAP[job.overlap_policy]}"
    yield "catch-up", f"{job.catch_up}: {_CATCH_UP[job.catch_up].format(limit=job.catch_up_limit)}"
    yield "jitter", f"up to {job.jitter_seconds:g} s" if job.jitter_seconds else None
    yield "expected", f"within {job.expected_duration_seconds:g} s" if job.expected_duration_seconds else None
    yield "late", f"after {job.max_start_delay_seconds:g} s" if job.max_start_delay_seconds else None
    yield "starts", when(job.starts_at, now)
    yield "ends", when(job.ends_at, now)
    yield "last tick", when(job.last_run_at, now)
    yield "unfinished", _unfinished(job)
    yield "failures", f"{job.failures_in_a_row} in a row" if job.failures_in_a_row else None
    yield "managed by", job.managed_by and f"{job.managed_by}: `scheduler cron plan` tells what was edited"
    yield "created", f"{when(job.created_at, now)} by {job.created_by}"
    yield "edited", when(job.updated_at, now) if job.updated_at > job.created_at else None


def _problems(page: "CronJobPage", now: datetime) -> Iterator[str]:
    """What is wrong, each with what to do."""
    job = page.cron_job
    if page.refusal is not None:
        yield f"The planner refuses it. {page.refusal}\nMend it: scheduler cron edit {_quoted(job)} --expression …"
    if not job.enabled:
        reason = f": {job.paused_reason.rstrip('. ')}" if job.paused_reason else ""
        until = f" {until_in_words(job.resume_at, now)}" if job.resume_at else ""
        yield f"It is paused{until}{reason}. Resume it: scheduler cron resume {_quoted(job)}"
    elif job.ends_at is not None and job.ends_at <= now:
        yield f"Its end is past. Go on without one: scheduler cron edit {_quoted(job)} --unset ends-at"
    elif page.skipped_until is not None:
        yield (
            f"Its ticks are skipped up to {when(page.skipped_until, now)}. "
            f"Let them run: scheduler cron skip {_quoted(job)} --until now"
        )
    elif page.refusal is None and job.next_run_at is None:
        yield f"It will never tick again. See why: scheduler cron explain {_quoted(job)}"
    due, what = (job.next_run_at, "tick") if job.enabled else (job.resume_at, "end of its pause")
    if due is not None and (now - due).total_seconds() > _LATE_SECONDS:
        yield (
            f"Its {what} is due since {span(now - due)}, and no planner has seen it. "
            "See who is at work: scheduler workers list"
        )
    failed = next((e for e in page.executions if e.status in ("FAILED", "TIMEOUT")), None)
    if job.failures_in_a_row and failed is not None:
        yield f"It fails. See why: scheduler jobs show {failed.id}"


def _quoted(job: "CronJob") -> str:
    return shlex.quote(job.name)


def _params(params: object) -> str:
    return params if isinstance(params, str) else json.dumps(params, ensure_ascii=False)


def _tries(job: "CronJob") -> str:
    if job.max_retry is None and job.retry_backoff is None and job.retry_delay_seconds is None:
        return "the handler's own"
    own = "the handler's own"
    may_fail = own if job.max_retry is None else f"{job.max_retry} may fail"
    delay = own if job.retry_delay_seconds is None else f"from {job.retry_delay_seconds:g} s"
    return f"{may_fail}; backoff {job.retry_backoff or own}; delay {delay}"


def _unfinished(job: "CronJob") -> str | None:
    parts = [f"{count} {what}" for count, what in ((job.running, "running"), (job.waiting, "waiting")) if count]
    return ", ".join(parts) or None


def _cells(execution: "NewestExecution", now: datetime) -> tuple[object, ...]:
    e = execution
    ticks = f" ({e.skipped_count} ticks)" if (e.skipped_count or 0) > 1 else ""
    took = duration(e.started_at, e.finished_at)
    return e.id, e.source, e.status, f"{relative(e.scheduled_at, now)}{ticks}", took, e.attempt, e.error
