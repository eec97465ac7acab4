"""`scheduler jobs wait`, and what else waits for executions to end."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.failures import FAILED
from scheduler.cli.moments import duration
from scheduler.cli.options import AsJson
from scheduler.cli.printable import one_line
from scheduler.cli.project import connected
from scheduler.clock import monotonic
from scheduler.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.operations.waiting import ExecutionState
    from scheduler.store.session import SyncSession


_PATIENCE_SECONDS = 3.0
"""What is in the way for a shorter time needs no telling."""

AtMost = Annotated[
    float | None,
    typer.Option("--for", metavar="SECONDS", min=0, help="Wait no longer than that.  [default: until it is final]"),
]


def wait(
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="As `jobs enqueue` and `jobs list` print them.")],
    at_most: AtMost = None,
    as_json: AsJson = False,
) -> None:
    """Wait until executions are final, and tell how each of them ended.

    Exits 0 if all of them succeeded; 1 if one did not, or is not final when the time is over.

    Example: scheduler jobs wait 42 43 --for 60

    Example: scheduler jobs wait $(scheduler jobs enqueue email '{"to": "a@example.com"}')
    """
    with connected() as (_, session):
        found = wait_for(session, ids, at_most)
    tell(found, as_json=as_json)


def wait_for(session: "SyncSession", ids: "Sequence[int]", at_most: float | None = None) -> "list[ExecutionState]":
    """With a live line on a terminal, and elsewhere a note when something is in the way."""
    from scheduler.cli.progress import live_line
    from scheduler.operations import waiting

    notes = _Notes()
    try:
        with live_line() as show:

            def watch(states: "Sequence[ExecutionState]") -> None:
                show(_so_far(states))
                notes.hear(states)

            return waiting.wait(session, ids, timeout=at_most, watch=watch)
    except KeyboardInterrupt:
        again = " ".join(map(str, ids))
        typer.echo(f"Interrupted; the work goes on: `scheduler jobs wait {again}` waits for its end.", err=True)
        raise


def follow(session: "SyncSession", id_: int) -> None:
    """Until it is final, with a bar on a terminal, and elsewhere a note when something is in the way."""
    from scheduler.cli.progress import live_bar
    from scheduler.operations import waiting

    notes = _Notes()
    try:
        with live_bar() as show:

            def watch(states: "Sequence[ExecutionState]") -> None:
                show(states[0].progress, _so_far(states))
                notes.hear(states)

            waiting.wait(session, [id_], watch=watch)
    except KeyboardInterrupt:
        typer.echo(f"Interrupted; the work goes on: `scheduler jobs show {id_} -f` follows it again.", err=True)
        raise


class _Notes:
    """Says what is in the way once it has been for a while, to whoever has no terminal to see it."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._told: set[str] = set()

    def hear(self, states: "Sequence[ExecutionState]") -> None:
        if sys.stderr.isatty():
            return
        found = {f"{state.id} waits: {state.obstacle}" for state in states if state.obstacle is not None}
        self._since = {obstacle: self._since.get(obstacle, monotonic()) for obstacle in found}
        for obstacle, since in self._since.items():
            if obstacle not in self._told and monotonic() - since >= _PATIENCE_SECONDS:
                typer.echo(one_line(f"note: {obstacle}."), err=True)
                self._told.add(obstacle)


def tell(states: "Sequence[ExecutionState]", *, as_json: bool, alone: bool = False) -> None:
    """How they ended; exits 1 unless all of them succeeded. In JSON a list, or an object of one that is `alone`."""
    if as_json:
        from scheduler.cli.tables import print_json

        print_json(states[0] if alone else states)
    else:
        for state in states:
            typer.echo(_ended(state))
    failed = [state for state in states if state.status in {Status.FAILED, Status.TIMEOUT}]
    if failed and not as_json:
        typer.echo(f"note: `scheduler jobs show {failed[0].id}` shows its attempts, with their tracebacks.", err=True)
    if any(state.status != Status.SUCCESS for state in states):
        raise typer.Exit(FAILED)


def _so_far(states: "Sequence[ExecutionState]") -> str:
    left = [state for state in states if not state.final]
    if not left:
        return ""
    now = left[0]
    progress = "" if now.progress is None else f" {now.progress:.0%} {now.progress_message or ''}".rstrip()
    count = f"; {len(states) - len(left)} of {len(states)} are final" if len(states) > 1 else ""
    return f"{now.id} ({now.handler_name}) {now.status}{progress}{_in_the_way(now)}{count}"


def _ended(state: "ExecutionState") -> str:
    from scheduler.cli.tables import compact_json

    said = f"{state.id} ({state.handler_name}) {state.status}"
    error = (state.error or "").partition("\n")[0]
    match state.status:
        case Status.SUCCESS:
            took = duration(state.started_at, state.finished_at)
            said += f" in {took}" if took else ""
            said += "" if state.result is None else f": {compact_json(state.result)}"
        case Status.PENDING | Status.RUNNING:
            said += f" still{_in_the_way(state)}"
        case _:
            said += f": {error}" if error else ""
    return one_line(said)


def _in_the_way(state: "ExecutionState") -> str:
    return "" if state.obstacle is None else f", {state.obstacle}"
