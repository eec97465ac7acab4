"""Which executions: the options that `jobs list`, `jobs cancel` and `jobs retry` share."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion, values
from scheduler.cli.moments import before_now, parsed_ago
from scheduler.cli.project import handlers_of
from scheduler.errors import ConfigurationError, did_you_mean
from scheduler.model import Status

if TYPE_CHECKING:
    from scheduler.app import Project
    from scheduler.operations.search import Search
    from scheduler.store.session import SyncSession

StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only those, such as failed; also dead (FAILED and TIMEOUT) and final. May be given several times.",
        autocompletion=completion.statuses,
    ),
]
UnfinishedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only those that wait (pending) or that run (running).",
        autocompletion=completion.unfinished,
    ),
]
EndedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Such as cancelled; also dead (FAILED and TIMEOUT, which is the default) and final.",
        autocompletion=completion.ended,
    ),
]
DeadOption = Annotated[
    bool, typer.Option("--dead", help="Only dead letters, FAILED and TIMEOUT: the same as --status dead.")
]
HandlerOption = Annotated[
    str | None,
    typer.Option("--handler", metavar="NAME", help="Only those of this handler.", autocompletion=completion.handlers),
]
QueueOption = Annotated[
    str | None,
    typer.Option("--queue", metavar="NAME", help="Only those of this queue.", autocompletion=completion.queues),
]
CronOption = Annotated[
    str | None,
    typer.Option("--cron", metavar="NAME", help="Only those of this cron job.", autocompletion=completion.cron_jobs),
]
ErrorOption = Annotated[
    str | None,
    typer.Option(
        "--error", "--error-like", metavar="TEXT", help="Only those whose last error holds this text, in any case."
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="AGO|TIME", help="Only those created since then: 2h ago, or a time as ISO 8601."),
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="AGO|TIME", help="Only those created before then.")]


def with_dead(status: list[str] | None, dead: bool) -> list[str] | None:
    """What --status says, or --dead in its place. Raises BadParameter for both."""
    if dead and status:
        raise typer.BadParameter("give either --dead or --status.", param_hint="--dead")
    return ["dead"] if dead else status


@dataclass(frozen=True, slots=True)
class Filters:
    """What was typed, checked; what is relative to now isn't resolved yet."""

    statuses: frozenset[Status] | None
    handler: str | None
    queue: str | None
    cron: str | None
    error: str | None
    since: datetime | timedelta | None
    until: datetime | timedelta | None

    @classmethod
    def of(
        cls,
        *,
        status: list[str] | None,
        handler: str | None,
        queue: str | None,
        cron: str | None,
        error: str | None,
        since: str | None,
        until: str | None,
        among: frozenset[Status] = frozenset(Status),
    ) -> "Filters":
        """Raises BadParameter; `among` are the statuses that make sense."""
        return cls(
            statuses=values.statuses(status, among) if status else None,
            handler=handler,
            queue=queue,
            cron=cron,
            error=error or None,
            since=None if since is None else parsed_ago(since, "--since"),
            until=None if until is None else parsed_ago(until, "--until"),
        )

    @property
    def any(self) -> bool:
        return self != _NONE

    def search(self, now: datetime, meant: frozenset[Status] | None = None) -> "Search":
        """What to look for, seen from `now`; `meant` are the statuses where none was named."""
        from scheduler.operations.search import Search

        return Search(
            statuses=self.statuses or meant,
            handler_name=self.handler,
            queue=self.queue,
            cron_job=self.cron,
            error=self.error,
            since=None if self.since is None else before_now(self.since, now),
            until=None if self.until is None else before_now(self.until, now),
        )


_NONE = Filters(None, None, None, None, None, None, None)


def tell_unknown_names(project: "Project", session: "SyncSession", filters: Filters) -> None:
    """Where nothing was found: which of the names that were typed nothing has, and the nearest that something has."""
    from scheduler.operations.search import names_in_use

    used = names_in_use(session)
    if filters.handler is not None:
        _tell("handler", filters.handler, used.handlers | _handlers_of(project))
    if filters.queue is not None:
        _tell("queue", filters.queue, used.queues | set(project.settings.worker.queues))


def _tell(what: str, name: str, known: set[str]) -> None:
    if name not in known:
        typer.echo(f"note: No {what} named {name!r} is in use.{did_you_mean(name, known)}", err=True)


def _handlers_of(project: "Project") -> set[str]:
    """Empty where they can't be found: that is told by `scheduler run`."""
    try:
        return set(handlers_of(project).names)
    except ConfigurationError:
        return set()
