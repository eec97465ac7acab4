"""Rows for people, JSON for programs; both on stdout."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO
from uuid import UUID

from scheduler.cli.printable import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console

_UNBOUNDED = 100_000
"""Columns of a file or a pipe, which nothing may be cut or folded to fit."""

_STYLES = {
    "SUCCESS": "green", "enabled": "green", "active": "green",
    "RUNNING": "cyan",
    "PENDING": "dim", "SKIPPED": "dim", "CANCELLED": "yellow", "paused": "yellow", "inactive": "yellow",
    "FAILED": "red", "TIMEOUT": "red", "LOST": "red", "invalid": "red",
}  # fmt: skip


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A line per row. A cell is shown as `str` has it, an empty one for None, and a known state in its colour."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        words = ["" if cell is None else one_line(str(cell)) for cell in row]
        table.add_row(*(Text(word, _STYLES.get(word, "")) for word in words))
    console(sys.stdout).print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """A name and a value a line, where a value may have several lines; those that are None are left out."""
    from rich.text import Text

    shown = {name: printable(str(value)) for name, value in fields.items() if value is not None}
    width = max(map(len, shown), default=0) + 2
    out = console(sys.stdout)
    for name, value in shown.items():
        first, *more = value.split("\n")
        out.print(Text(f"{name:<{width}}", "bold"), Text(first, _STYLES.get(first, "")), sep="", soft_wrap=True)
        for line in more:
            out.print(Text(" " * width + line), soft_wrap=True)


def print_json(value: Any) -> None:
    """Dataclasses as objects, times as ISO 8601 in UTC."""
    print(json.dumps(value, default=_plain, indent=2))


def pretty_json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(
        file=stream, highlight=False, markup=False, emoji=False, width=None if stream.isatty() else _UNBOUNDED
    )


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID():
            return str(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        case _:
            raise TypeError(type(value))
