"""What `jobs cancel` and `jobs retry` found, and what became of it, in words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from scheduler.cli.failures import FAILED
from scheduler.cli.printable import one_line
from scheduler.model import Status
from scheduler.operations.words import count_of

if TYPE_CHECKING:
    from scheduler.operations.bulk import Action, Answer

_KINDS_SHOWN = 5
_REFUSALS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Found:
    """The ids to act on, and how many there are of each status and handler."""

    ids: list[int] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def summary(self) -> str:
        kinds = [(count, f"{status} of {handler}") for (status, handler), count in self.kinds.most_common()]
        if len(kinds) == 1:
            return one_line(f"{count_of(len(self.ids), 'execution')}, {kinds[0][1]}.")
        shown = [f"{count:,} {kind}" for count, kind in kinds[:_KINDS_SHOWN]]
        rest = sum(count for count, _ in kinds[_KINDS_SHOWN:])
        return one_line(
            f"{count_of(len(self.ids), 'execution')}: {', '.join(shown)}{f', {rest:,} of other kinds' if rest else ''}."
        )


def tell_dry_run(found: Found, *, as_json: bool) -> None:
    if as_json:
        from scheduler.cli.tables import print_json

        print_json({"matching": len(found.ids), "ids": found.ids})
    else:
        typer.echo(f"{found.summary} Nothing was done: this was a dry run.")


def tell_answers(action: "Action", answers: "Sequence[Answer]", *, one_by_one: bool, as_json: bool) -> None:
    """What was done on stdout, what was refused on stderr; exits 1 if anything was."""
    from scheduler.operations.bulk import Result

    by_result = {result: [answer for answer in answers if answer.result is result] for result in Result}
    done, refused, changed = (by_result[result] for result in (Result.DONE, Result.REFUSED, Result.CHANGED))
    if as_json:
        from scheduler.cli.tables import print_json

        print_json({"done": done, "changed": changed, "refused": refused})
    else:
        for line in _each(action, done) if one_by_one else _all(action, done):
            typer.echo(line)
        if changed:
            typer.echo(
                f"{count_of(len(changed), 'execution')} had become something else meanwhile and stayed as they are."
            )
    for answer in refused[:_REFUSALS_SHOWN]:
        typer.echo(one_line(f"error: {answer.why}"), err=True)
    if len(refused) > _REFUSALS_SHOWN:
        typer.echo(f"error: … and {len(refused) - _REFUSALS_SHOWN:,} more were refused; --json names all.", err=True)
    if refused:
        raise typer.Exit(FAILED)


def _each(action: "Action", done: "Sequence[Answer]") -> Iterator[str]:
    for answer in done:
        if action == "retry":
            yield f"Execution {answer.id} waits again, with all tries: `scheduler jobs wait {answer.id}` tells its end."
        elif answer.status == Status.RUNNING:
            yield f"Execution {answer.id} is asked to stop: `scheduler jobs wait {answer.id}` tells its end."
        else:
            yield f"Execution {answer.id} is cancelled."


def _all(action: "Action", done: "Sequence[Answer]") -> Iterator[str]:
    if action == "retry":
        yield f"{count_of(len(done), 'execution')} {'waits' if len(done) == 1 else 'wait'} again, with all tries."
        return
    asked = sum(answer.status == Status.RUNNING for answer in done)
    cancelled = len(done) - asked
    if cancelled or not asked:
        yield f"{count_of(cancelled, 'execution')} cancelled."
    if asked:
        yield f"{count_of(asked, 'execution')} asked to stop."
