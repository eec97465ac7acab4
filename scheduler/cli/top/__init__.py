"""`scheduler top`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.options import AsJson
from scheduler.cli.project import connected

if TYPE_CHECKING:
    from rich.console import Console

    from scheduler.cli.top.view import Order, View
    from scheduler.operations.live import Snapshot
    from scheduler.store.session import SyncSession

_RESTS = 4.0
"""Times as long as a look took is waited until the next one, so that a busy database is asked less often."""


def top(
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.2, max=3600, help="How often to look at the most.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print it once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch queues, workers, what runs, what failed last, and the next ticks.

    On a terminal it stays, and takes keys: arrows and tab choose, p pauses or resumes a queue, c cancels an execution,
    r retries one, each after a y; q ends it. Anywhere else it prints once what there is.

    Example: scheduler top

    Example: scheduler top --once
    """
    from scheduler.cli.tables import console, print_json
    from scheduler.operations.live import snapshot

    with connected() as (_, session):
        if as_json:
            print_json(snapshot(session))
        elif once or not (sys.stdin.isatty() and sys.stdout.isatty()):
            from scheduler.cli.top.picture import picture

            out = console(sys.stdout)
            out.width = min(out.width, 200)
            out.print(picture(snapshot(session), None, width=out.width, height=None))
        else:
            _live(session, console(sys.stdout), interval)


def _live(session: "SyncSession", out: "Console", interval: float) -> None:
    """Until somebody presses q."""
    from rich.live import Live

    from scheduler.cli.top.keyboard import keyboard, read_key
    from scheduler.cli.top.picture import picture
    from scheduler.cli.top.view import View, pressed
    from scheduler.clock import monotonic

    view, seen, took = View(), *_look(session)
    looks_at = monotonic() + max(interval, _RESTS * took)
    with keyboard() as keys, Live(console=out, screen=True, auto_refresh=False) as live:
        while not view.over:
            live.update(picture(seen, view, width=out.width, height=out.height), refresh=True)
            if (key := read_key(keys, max(0.0, looks_at - monotonic()))) is not None:
                view = pressed(key, view, seen)
            if view.agreed is not None:
                view = _done(session, view, view.agreed)
                looks_at = monotonic()
            if monotonic() >= looks_at:
                seen, took = _look(session)
                looks_at = monotonic() + max(interval, _RESTS * took)


def _look(session: "SyncSession") -> "tuple[Snapshot, float]":
    """What there is, and how long it took to ask."""
    from scheduler.clock import monotonic
    from scheduler.operations.live import snapshot

    began = monotonic()
    return snapshot(session), monotonic() - began


def _done(session: "SyncSession", view: "View", order: "Order") -> "View":
    """Carry it out; what is refused is said, and ends nothing."""
    from dataclasses import replace

    from scheduler.cli.top.deeds import carry_out
    from scheduler.errors import SchedulerError

    try:
        said = carry_out(session, order)
    except SchedulerError as error:
        said = str(error)
    return replace(view, agreed=None, said=said)
