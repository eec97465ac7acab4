"""`scheduler cron plan` and `scheduler cron apply`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.agreement import agree
from scheduler.cli.failures import FAILED
from scheduler.cli.options import AsJson
from scheduler.cli.project import connected, handlers_of
from scheduler.operations.words import count_of

if TYPE_CHECKING:
    from scheduler.operations.declared import Declarations
    from scheduler.store.session import SyncSession

Adopt = Annotated[
    bool, typer.Option("--adopt", help="Take over rows of somebody else that have the name of a declared cron job.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite-drift", help="Write over what was edited since the last apply.")]


def plan(
    adopt: Adopt = False,
    overwrite_drift: Overwrite = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 unless all rows are as declared.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what `cron apply` would do: the cron jobs declared in settings and handlers, beside their rows.

    + create, ~ change, - remove; ! drift was edited in the table since the last apply and stays so; = belongs to
    somebody else.

    Example: scheduler cron plan --check
    """
    from scheduler.cli.cron import diff
    from scheduler.cli.tables import print_json
    from scheduler.operations import declared
    from scheduler.operations.declared import Options

    options = Options(adopt, overwrite_drift)
    with _opened() as (session, declarations):
        comparison = declared.plan(session, declarations, options)
    if as_json:
        print_json(diff.as_json(comparison))
    else:
        diff.print_diff(comparison)
        for line in diff.to_do(comparison, options):
            typer.echo(line)
    if check and comparison.steps:
        raise typer.Exit(FAILED)


def apply(
    adopt: Adopt = False,
    overwrite_drift: Overwrite = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before rows are removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the rows as declared in settings and handlers, all of them in one transaction.

    Rows of cron jobs that are no longer declared are removed, after a question; executions stay. What was edited in the
    table since the last apply is left, and so is whether somebody paused it, unless that is declared.

    Example: scheduler cron apply --yes
    """
    from scheduler.cli.cron import diff
    from scheduler.cli.tables import print_json
    from scheduler.operations import declared
    from scheduler.operations.declared import Action, Options

    options = Options(adopt, overwrite_drift)
    with _opened() as (session, declarations):
        comparison = declared.plan(session, declarations, options)
        if not as_json:
            diff.print_diff(comparison)
        declared.refuse_taken(comparison)
        removals = [step.name for step in comparison.those(Action.REMOVE)]
        if removals and not yes:
            what = count_of(len(removals), "cron job")
            agree(f"Remove {what}, and apply the rest?", f"add --yes to remove {what}. Nothing was changed.")
        done = declared.apply(session, declarations, options, may_remove=None if yes else removals)
    if as_json:
        print_json(diff.as_json(done))
    else:
        typer.echo(diff.done(done))


@contextmanager
def _opened() -> "Iterator[tuple[SyncSession, Declarations]]":
    with connected() as (project, session):
        yield session, project.declarations(handlers_of(project))
