"""What a terminal shows on stderr while something lasts, gone at the end; nothing anywhere else, nor for a moment."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scheduler.clock import monotonic

Show = Callable[[str], None]
Advance = Callable[[float], None]

_NOT_BEFORE = 0.3
"""Seconds: what is done sooner needs no telling, and would only flicker."""


@contextmanager
def live_line() -> Iterator[Show]:
    """A line that each call writes anew."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from scheduler.cli.printable import one_line
    from scheduler.cli.tables import console

    status, began = console(sys.stderr).status(""), monotonic()

    def show(text: str) -> None:
        status.update(one_line(text))
        if monotonic() - began >= _NOT_BEFORE:
            status.start()

    try:
        yield show
    finally:
        status.stop()


@contextmanager
def live_bar() -> Iterator[Callable[[float | None, str], None]]:
    """A bar with words behind it; each call sets both: 0 to 1, or None where nobody knows how far it is."""
    if not sys.stderr.isatty():
        yield lambda done, text: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from scheduler.cli.printable import one_line
    from scheduler.cli.tables import console

    columns = BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    progress, began = Progress(*columns, console=console(sys.stderr), transient=True), monotonic()
    task = progress.add_task("", total=None)

    def show(done: float | None, text: str) -> None:
        total = None if done is None else 1
        progress.update(task, total=total, completed=done or 0, description=one_line(text))
        if monotonic() - began >= _NOT_BEFORE:
            progress.start()

    try:
        yield show
    finally:
        progress.stop()


@contextmanager
def bar(title: str, total: float) -> Iterator[Advance]:
    """A bar that each call sets, up to `total`."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from scheduler.cli.tables import console

    columns = TextColumn(title), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    progress, began = Progress(*columns, console=console(sys.stderr), transient=True), monotonic()
    task = progress.add_task(title, total=total)

    def advance(done: float) -> None:
        progress.update(task, completed=done)
        if monotonic() - began >= _NOT_BEFORE:
            progress.start()

    try:
        yield advance
    finally:
        progress.stop()
