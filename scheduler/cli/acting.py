"""`scheduler jobs cancel` and `scheduler jobs retry`: those named by id, or all that filters match."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.agreement import agree
from scheduler.cli.answers import Found, tell_answers, tell_dry_run
from scheduler.cli.filters import (
    CronOption,
    DeadOption,
    EndedOption,
    ErrorOption,
    Filters,
    HandlerOption,
    QueueOption,
    SinceOption,
    UnfinishedOption,
    UntilOption,
    tell_unknown_names,
    with_dead,
)
from scheduler.cli.options import AsJson
from scheduler.cli.progress import bar
from scheduler.cli.project import connected
from scheduler.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.operations.bulk import Action, Answer
    from scheduler.store.session import SyncSession

Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="ID", help="As `jobs list` prints them; or none, and filters instead."),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="The newest so many of them at most.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


def cancel(
    ids: Ids = None,
    reason: Annotated[str | None, typer.Option(help="Kept with the execution.")] = None,
    status: UnfinishedOption = None,
    handler: HandlerOption = None,
    queue: QueueOption = None,
    cron: CronOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: AsJson = False,
) -> None:
    """Cancel executions: those that wait at once, those that run are asked to stop.

    With filters instead of ids: all that wait or run and match. How many is shown first, and asked on a terminal.

    Example: scheduler jobs cancel 42 --reason "wrong address"

    Example: scheduler jobs cancel --queue mail --status pending --since 2h
    """
    from scheduler.operations.bulk import POSSIBLE, Action

    filters = Filters.of(
        status=status,
        handler=handler,
        queue=queue,
        cron=cron,
        error=error,
        since=since,
        until=until,
        among=POSSIBLE[Action.CANCEL],
    )
    _carry_out(_Order(Action.CANCEL, ids or [], filters, limit, reason, yes, dry_run, as_json))


def retry(
    ids: Ids = None,
    params: Annotated[
        str | None, typer.Option(metavar="JSON", help="Of one: what its handler is given from now on.")
    ] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Of one: edit that in $VISUAL or $EDITOR.")] = False,
    status: EndedOption = None,
    dead: DeadOption = False,
    handler: HandlerOption = None,
    queue: QueueOption = None,
    cron: CronOption = None,
    error: ErrorOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: AsJson = False,
) -> None:
    """Send final executions back to wait, with all their tries.

    With filters instead of ids: all FAILED and TIMEOUT ones that match, unless --status says otherwise. How many is
    shown first, and asked on a terminal.

    Example: scheduler jobs retry 42

    Example: scheduler jobs retry 42 --params '{"to": "ada@example.com"}'

    Example: scheduler jobs retry --dead --handler email --since 12h --error "timed out"
    """
    from scheduler.operations.bulk import POSSIBLE, Action

    filters = Filters.of(
        status=with_dead(status, dead),
        handler=handler,
        queue=queue,
        cron=cron,
        error=error,
        since=since,
        until=until,
        among=POSSIBLE[Action.RETRY],
    )
    order = _Order(Action.RETRY, ids or [], filters, limit, None, yes, dry_run, as_json)
    if params is None and not edit:
        _carry_out(order)
        return
    from scheduler.cli.retry_params import retry_with

    if len(order.ids) != 1 or dry_run:
        why = "--dry-run shows what filters match" if dry_run else "it goes with one ID"
        raise typer.BadParameter(f"{why}.", param_hint="--params" if params is not None else "--edit")
    if params is not None and edit:
        raise typer.BadParameter("give either --params or --edit.", param_hint="--edit")
    retry_with(order.ids[0], params, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for."""

    action: "Action"
    ids: list[int]
    filters: Filters
    limit: int | None
    reason: str | None
    yes: bool
    dry_run: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Raises BadParameter."""
        if bool(self.ids) == self.filters.any:
            raise typer.BadParameter(
                f"say which to {self.action}: either ids, or filters such as --status, --handler and --since.",
                param_hint="ID",
            )
        if self.ids and self.limit is not None:
            raise typer.BadParameter("it goes with filters, not with ids.", param_hint="--limit")


def _carry_out(order: _Order) -> None:
    from scheduler.operations.bulk import MEANT

    with connected() as (project, session):
        statuses = None if order.ids else order.filters.statuses or MEANT[order.action]
        found = _named(session, order) if statuses is None else _matching(session, order, statuses)
        if not found.ids:
            typer.echo("No execution matches.", err=True)
            tell_unknown_names(project, session, order.filters)
        elif order.dry_run:
            tell_dry_run(found, as_json=order.as_json)
        else:
            if not (order.ids or order.yes):
                _agree(order.action, found)
            answers = _act(session, order, found.ids, statuses)
            tell_answers(order.action, answers, one_by_one=bool(order.ids), as_json=order.as_json)


def _named(session: "SyncSession", order: _Order) -> Found:
    """Those of the ids; what they are is looked up only to be shown."""
    from scheduler.operations.waiting import states

    found = Found(list(dict.fromkeys(order.ids)))
    if order.dry_run:
        found.kinds.update((state.status, state.handler_name) for state in states(session, found.ids))
    return found


def _matching(session: "SyncSession", order: _Order, statuses: frozenset[Status]) -> Found:
    """All of them, however long it takes; Ctrl-C ends it before anything is changed."""
    from scheduler.operations.overview import database_time
    from scheduler.operations.search import looks

    found = Found()
    search = order.filters.search(database_time(session), statuses)
    with bar("looking", 1) as advance:
        for look in looks(session, search, limit=order.limit):
            found.ids.extend(line.id for line in look.lines)
            found.kinds.update((line.status, line.handler_name) for line in look.lines)
            advance(look.done)
    return found


def _agree(action: "Action", found: Found) -> None:
    """Go on only if the person wants it, having seen what they are."""
    typer.echo(found.summary, err=True)
    which = "it" if len(found.ids) == 1 else "all of them"
    agree(f"{action.capitalize()} {which}?", f"add --yes to {action} them, or --dry-run to see them.")


def _act(
    session: "SyncSession", order: _Order, ids: "Sequence[int]", statuses: frozenset[Status] | None
) -> "list[Answer]":
    from scheduler.operations.bulk import act

    answers: list[Answer] = []
    try:
        with bar(order.action, len(ids)) as advance:
            for batch in act(session, order.action, ids, statuses=statuses, reason=order.reason):
                answers += batch
                advance(len(answers))
    except KeyboardInterrupt:
        typer.echo(f"Interrupted: {len(answers):,} of {len(ids):,} had had their turn.", err=True)
        raise
    return answers
