"""picture: a snapshot as it looks on a terminal, for any width and height."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scheduler.cli.moments import relative, until_due
from scheduler.cli.printable import one_line
from scheduler.cli.top.layout import beside, is_wide, rows_of, titled, window
from scheduler.cli.top.view import Pane, View, chosen, help_of
from scheduler.operations.live import RunningLine, Snapshot
from scheduler.operations.overview import WorkerStatus
from scheduler.operations.queues import QueueStatus
from scheduler.operations.words import span

_ALERTS: Final = 3
"""So many are told at most."""
_FRAME: Final = 3
"""Lines that a list takes beside its rows where it has a frame: two of that, and the head of its columns."""
_TITLE: Final = 2
"""The same where it only has a title."""
_BAR: Final = 14
_CHOSEN: Final = "reverse"
_LONGEST: Final = 1e12
"""Seconds."""


def picture(snapshot: Snapshot, view: View | None, *, width: int, height: int | None) -> RenderableType:
    """`view` is None where nobody can press a key, `height` where there is room for everything."""
    wide = is_wide(width)
    queues = _List("Queues", Pane.QUEUES, "cyan", len(snapshot.queues), _queues)
    workers = _List("Workers", None, "cyan", len(snapshot.workers), _workers)
    running = _List("Running", Pane.RUNNING, "green", len(snapshot.running), _running)
    failures = _List("Last failures", Pane.FAILURES, "red", len(snapshot.failures), _failures, share=3)
    ticks = _List("Next ticks", None, "magenta", len(snapshot.ticks), _ticks, share=2)
    bands = [(queues, workers), (running,), (failures, ticks)]
    important = [(running,), (queues, workers), (failures, ticks)]
    if not wide:
        bands = [(queues,), (running,), (failures,), (ticks,), (workers,)]
        important = [(running,), (queues,), (failures,), (workers,), (ticks,)]
    head = [_headline(snapshot), *_alerts(snapshot)]
    room = None if height is None else height - len(head) - (view is not None)
    needs = [max(1, *(each.count for each in band)) for band in important]
    rows = dict(zip(important, rows_of(needs, room, _FRAME if wide else _TITLE), strict=True))
    parts = [
        beside((each.share, each.drawn(snapshot, view, rows[band], _frame(band, rows[band], wide))) for each in band)
        for band in bands
        if rows[band]
    ]
    return Group(*head, *parts, *([_keys(view)] if view is not None else []))


@dataclass(frozen=True, slots=True)
class _List:
    title: str
    pane: Pane | None
    """None: nothing of it can be chosen."""
    colour: str
    count: int
    draw: Callable[[Snapshot, View | None, int], RenderableType]
    """With at most so many rows."""
    share: int = 1
    """Of the width, where another one is beside it."""

    def drawn(self, snapshot: Snapshot, view: View | None, rows: int, frame: int | None) -> RenderableType:
        here = view is not None and view.pane is self.pane
        return titled(self.title, self.count, self.draw(snapshot, view, rows), self.colour, here=here, frame=frame)


def _frame(band: Sequence[_List], rows: int, wide: bool) -> int | None:
    """How many lines the frames of lists beside each other take; None: they have none. Empty ones have no columns."""
    if not wide:
        return None
    return rows + _FRAME if any(each.count for each in band) else rows + _FRAME - 1


def _headline(snapshot: Snapshot) -> RenderableType:
    working = [worker for worker in snapshot.workers if worker.status == "ACTIVE" and worker.state == "active"]
    slots = sum(worker.pool_size for worker in working)
    waiting, running = sum(q.waiting for q in snapshot.queues), sum(q.running for q in snapshot.queues)
    delayed = sum(queue.delayed for queue in snapshot.queues)
    line = Text.assemble(
        (" scheduler ", "bold reverse"), "  ",
        _count(len(working), "worker", "green" if working else "bold red"), "  ",
        (f"{running:,}", "bold"), f" of {slots:,} slots busy  ",
        (f"{waiting:,}", "bold"), " waiting  ",
        (f"{delayed:,}", "bold"), " delayed",
    )  # fmt: skip
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(line, Text(f"{snapshot.now:%H:%M:%S}Z", "dim"))
    return grid


def _alerts(snapshot: Snapshot) -> list[RenderableType]:
    return [
        Text(f" ▲ {one_line(alert.message)} ({relative(alert.opened_at, snapshot.now)})", "bold red", no_wrap=True,
             overflow="ellipsis")
        for alert in snapshot.alerts[:_ALERTS]
    ]  # fmt: skip


def _count(number: int, noun: str, style: str) -> Text:
    return Text.assemble((f"{number:,}", f"bold {style}"), f" {noun}{'' if number == 1 else 's'}")


def _table(*columns: tuple[str, str]) -> Table:
    """Of each column its head, and how it stands: `<` left, `>` right, `…` left and cut where there is no room."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head, side in columns:
        table.add_column(
            head,
            justify="right" if side == ">" else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if side == "…" else None,
        )
    return table


def _queues(snapshot: Snapshot, view: View | None, rows: int) -> RenderableType:
    if not snapshot.queues:
        return _nothing("No queue is in use yet.")
    table = _table(("queue", "…"), ("", "<"), ("waiting", ">"), ("oldest", ">"), ("delayed", ">"), ("running", ">"))
    at = _chosen_in(Pane.QUEUES, view, snapshot)
    names = [queue.name for queue in snapshot.queues]
    for queue in window(snapshot.queues, names.index(at) if at in names else 0, rows):
        oldest = _span(queue.oldest_waiting_seconds)
        table.add_row(
            _cell(queue.name, "bold"),
            _state_of(queue),
            _number(queue.waiting),
            oldest,
            _number(queue.delayed),
            _number(queue.running),
            style=_CHOSEN if queue.name == at else "",
        )
    return table


def _state_of(queue: QueueStatus) -> Text:
    if queue.paused:
        return Text("paused", "yellow")
    if queue.reached:
        return Text(one_line(queue.reached), "yellow")
    return Text("unserved", "red") if queue.waiting and not queue.workers else Text("")


def _workers(snapshot: Snapshot, _: View | None, rows: int) -> RenderableType:
    if not snapshot.workers:
        return _nothing("No worker is there: start one with `scheduler run`.")
    table = _table(("worker", "…"), ("slots", "<"), ("", ">"), ("done", ">"), ("failed", ">"))
    for worker in snapshot.workers[:rows]:
        style = "" if worker.status == "ACTIVE" and worker.state == "active" and not worker.stalled else "red"
        table.add_row(
            _cell(worker.name, style),
            _slots(worker),
            f"{worker.running_count}/{worker.pool_size}",
            _number(worker.succeeded_count),
            _number(worker.failed_count, "red"),
        )
    return table


def _slots(worker: WorkerStatus) -> RenderableType:
    """How many are taken; of a worker that is ill, the loop that stands still, and for how long."""
    if not worker.stalled:
        return ProgressBar(total=max(1, worker.pool_size), completed=worker.running_count, width=8)
    name, age = max(worker.stalled.items(), key=lambda loop: loop[1])
    return Text(f"{one_line(name)} stuck {_span(age)}", "bold red")


def _running(snapshot: Snapshot, view: View | None, rows: int) -> RenderableType:
    if not snapshot.running:
        return _nothing("Nothing runs.")
    table = _table(
        ("id", ">"), ("handler", "<"), ("queue", "<"), ("for", ">"), ("progress", "<"), ("", "…"), ("left", ">")
    )
    at = _chosen_in(Pane.RUNNING, view, snapshot)
    ids = [line.id for line in snapshot.running]
    for line in window(snapshot.running, ids.index(at) if at in ids else 0, rows):
        table.add_row(
            str(line.id),
            _cell(line.handler_name, "bold"),
            _cell(line.queue),
            _span(line.age_seconds),
            _bar(line),
            _saying(line),
            _left(line),
            style=_CHOSEN if line.id == at else "",
        )
    return table


def _bar(line: RunningLine) -> RenderableType:
    if line.progress is None:
        return Text("·" * _BAR, "dim")
    return ProgressBar(total=1.0, completed=line.progress, width=_BAR)


def _saying(line: RunningLine) -> Text:
    if line.cancelling:
        return Text("asked to stop", "yellow")
    percent = "" if line.progress is None else f"{line.progress:.0%} "
    return Text(percent + one_line(line.progress_message or line.cron_job or ""))


def _left(line: RunningLine) -> Text:
    left, age = line.left_seconds, line.age_seconds
    if left is None or age is None:
        return Text("")
    if left < 0:
        return Text(f"{_span(-left)} over", "bold red")
    return Text(_span(left), "yellow" if left < 0.2 * (age + left) else "")


def _span(seconds: float | None) -> str:
    """What a row by hand says may be longer than any time there is; empty for None."""
    return "" if seconds is None else span(timedelta(seconds=max(-_LONGEST, min(seconds, _LONGEST))))


def _failures(snapshot: Snapshot, view: View | None, rows: int) -> RenderableType:
    if not snapshot.failures:
        return _nothing("Nothing has failed for good.", "green")
    table = _table(("id", ">"), ("handler", "<"), ("", "<"), ("when", ">"), ("error", "…"))
    at = _chosen_in(Pane.FAILURES, view, snapshot)
    ids = [line.id for line in snapshot.failures]
    for line in window(snapshot.failures, ids.index(at) if at in ids else 0, rows):
        table.add_row(
            str(line.id),
            _cell(line.handler_name, "bold"),
            Text(line.status.lower(), "red"),
            relative(line.finished_at, snapshot.now),
            _cell(line.error or ""),
            style=_CHOSEN if line.id == at else "",
        )
    return table


def _ticks(snapshot: Snapshot, _: View | None, rows: int) -> RenderableType:
    if not snapshot.ticks:
        return _nothing("No cron job has a next tick.")
    table = _table(("cron job", "…"), ("next tick", "<"), ("", ">"))
    for tick in snapshot.ticks[:rows]:
        table.add_row(_cell(tick.name, "bold"), f"{tick.at:%a %H:%M:%S %Z}", until_due(tick.at, snapshot.now))
    return table


def _keys(view: View) -> Text:
    line = Text(f" {one_line(help_of(view))}", "bold yellow" if view.asking else "dim", no_wrap=True)
    return line if not view.said else Text.assemble(line, ("   " + one_line(view.said), "bold"))


def _chosen_in(pane: Pane, view: View | None, snapshot: Snapshot) -> str | int | None:
    return chosen(view, snapshot) if view is not None and view.pane is pane else None


def _cell(text: str, style: str = "") -> Text:
    return Text(one_line(text), style)


def _number(number: int, style: str = "") -> Text:
    return Text(f"{number:,}", style if number else "dim")


def _nothing(text: str, style: str = "dim") -> Text:
    return Text(text, style)
