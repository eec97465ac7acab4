"""Declared cron jobs beside their rows, like a diff."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from scheduler.cli.cron.options import in_words
from scheduler.cli.moments import in_zone
from scheduler.cli.printable import one_line
from scheduler.operations.declared import Action, whose
from scheduler.operations.json_values import same

if TYPE_CHECKING:
    from scheduler.operations.declared import Comparison, Options, Others, Step
    from scheduler.operations.differences import Difference

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.ADOPT: ("~", "yellow"),
    Action.CHANGE: ("~", "yellow"),
    Action.REMOVE: ("-", "red"),
    Action.DRIFT: ("!", "magenta"),
    Action.TAKEN: ("=", "magenta"),
}
_ABSENT = object()


def print_diff(comparison: "Comparison") -> None:
    """A block a step, and a line about the rows of others."""
    from rich.text import Text

    from scheduler.cli.tables import console

    out = console(sys.stdout)
    for step in comparison.steps:
        sign, style = _SIGNS[step.action]
        out.print(
            Text(f"{sign} {step.action:<6}  ", style), Text(one_line(step.name), "bold"),
            Text(f"  {one_line(_note(step))}{'; it is paused' * step.paused}", "dim"), sep="", soft_wrap=True,
        )  # fmt: skip
        details = [(one_line(label), one_line(words)) for label, words in _details(step)]
        width = max((len(label) for label, _ in details), default=0) + 2
        for label, words in details:
            out.print(Text(f"    {label:<{width}}", "dim"), Text(words), sep="", soft_wrap=True)
    if comparison.others:
        out.print(Text(f"= others  {one_line(_of_others(comparison.others))}", "dim"), soft_wrap=True)


def as_json(comparison: "Comparison") -> Mapping[str, Any]:
    return {
        "managed_by": comparison.managed_by,
        "steps": [
            {
                "action": step.action,
                "name": step.name,
                "where": step.where,
                "managed_by": step.managed_by,
                "differences": step.differences,
                "next_ticks": step.next_ticks,
                "renamed_to": step.renamed_to,
                "paused": step.paused,
            }
            for step in comparison.steps
        ],
        "as_declared": [step.name for step in comparison.those(Action.NONE)],
        "others": comparison.others,
    }


def to_do(comparison: "Comparison", options: "Options") -> Iterator[str]:
    """What `cron plan` ends with."""
    counted = _counted(comparison, "to create", "to change", "to remove")
    command = "scheduler cron apply" + " --adopt" * options.adopt + " --overwrite-drift" * options.overwrite
    yield f"{counted}: `{command}` makes it so." if counted else _nothing_to_do(comparison)
    changed = comparison.those(Action.CHANGE, Action.DRIFT)
    if any(difference.left for step in changed for difference in step.differences):
        yield "What was edited stays: declare it so, or write over it with --overwrite-drift."
    if comparison.those(Action.TAKEN):
        yield "`apply` refuses while a declared name is taken: rename it, or take the row over with --adopt."


def done(comparison: "Comparison") -> str:
    """What `cron apply` ends with."""
    counted = _counted(comparison, "created", "changed", "removed")
    return f"{counted}." if counted else _nothing_to_do(comparison)


def _counted(comparison: "Comparison", *words: str) -> str:
    groups = (Action.CREATE,), (Action.CHANGE, Action.ADOPT), (Action.REMOVE,)
    counts = [len(comparison.those(*group)) for group in groups]
    return ", ".join(f"{count} {word}" for count, word in zip(counts, words, strict=True) if count)


def _nothing_to_do(comparison: "Comparison") -> str:
    count, owner = len(comparison.cron_jobs), one_line(comparison.managed_by)
    if comparison.steps:
        return "Nothing to do: the rest is as declared."
    if count == 0:
        return f"Nothing is declared, and {owner} has no rows."
    if count == 1:
        return f"Nothing to do: the one cron job of {owner} is as declared."
    return f"Nothing to do: all {count} cron jobs of {owner} are as declared."


def _note(step: "Step") -> str:
    match step.action:
        case Action.CREATE | Action.CHANGE | Action.NONE:
            return _near(step)
        case Action.ADOPT:
            return f"{whose(step.managed_by)} until now; {_near(step)}"
        case Action.DRIFT:
            return "edited since the last apply, and left so"
        case Action.TAKEN:
            return f"{whose(step.managed_by)}, and left alone; declared at {_near(step)}"
        case Action.REMOVE if step.renamed_to is not None:
            return f"now called {step.renamed_to}, which is a new cron job: the executions stay with the old one"
        case Action.REMOVE:
            return "no longer declared; its executions stay"
        case _:
            assert_never(step.action)


def _near(step: "Step") -> str:
    return (step.where or "").removeprefix(f"{Path.cwd()}/")


def _details(step: "Step") -> Iterator[tuple[str, str]]:
    for difference in step.differences:
        for label, row, declared in _pieces(difference):
            yield label, _change(step, difference, _words(difference.column, row), _words(difference.column, declared))
    if step.next_ticks:
        yield "next", ", ".join(map(in_zone, step.next_ticks))


def _pieces(difference: "Difference") -> Iterator[tuple[str, Any, Any]]:
    """A mapping on both sides differs key by key."""
    row, declared = difference.row, difference.declared
    if not (isinstance(row, dict) and isinstance(declared, dict)):
        yield difference.column, row, declared
        return
    for key in sorted(row.keys() | declared.keys()):
        if key not in row or key not in declared or not same(row[key], declared[key]):
            yield f"{difference.column}.{key}", row.get(key, _ABSENT), declared.get(key, _ABSENT)


def _change(step: "Step", difference: "Difference", row: str, declared: str) -> str:
    if step.action is Action.CREATE:
        return declared
    if step.action is Action.REMOVE:
        return f"{row} (edited since the last apply, when it was {declared})"
    if difference.left:
        return f"{row} (edited since the last apply; declared is {declared})"
    return f"{row} (edited since the last apply) → {declared}" if difference.edited else f"{row} → {declared}"


def _words(column: str, value: Any) -> str:
    if value is _ABSENT:
        return "none"
    if isinstance(value, dict | list) or value == "" or (column == "handler_params" and isinstance(value, str)):
        return json.dumps(value, ensure_ascii=False)
    return in_words(column, value)


def _of_others(others: Iterable["Others"]) -> str:
    owners = []
    for other in others:
        more = ", …" if other.count > len(other.names) else ""
        owners.append(f"{other.count:,} {whose(other.managed_by)} ({', '.join(other.names)}{more})")
    return f"untouched: {'; '.join(owners)}"
