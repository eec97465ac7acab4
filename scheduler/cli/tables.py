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
_GAP = 2
_LEAST = 12
"""What a long column keeps, however narrow the terminal is."""

_STYLES = {
    "SUCCESS": "green", "enabled": "green", "active": "green",
    "RUNNING": "cyan",
    "PENDING": "dim", "SKIPPED": "dim", "CANCELLED": "yellow", "paused": "yellow", "inactive": "yellow",
    "FAILED": "red", "TIMEOUT": "red", "LOST": "red", "invalid": "red",
}  # fmt: skip


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, long: str = "") -> None:
    """A line per row. A cell is shown as `str` has it, an empty one for None, and a known state in its colour.

    On a terminal, columns without any content are left out, and where it is too narrow the cells of the column `long`
    end in an ellipsis. No other cell is ever cut or folded.
    """
    from rich.table import Table
    from rich.text import Text

    out = console(sys.stdout)
    lines = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    columns = {header: [line[at] for line in lines] for at, header in enumerate(headers)}
    if sys.stdout.isatty():
        columns = {header: cells for header, cells in columns.items() if any(cells)}
    widths = _widths(columns, long, out.width)
    out.width = max(out.width, _total(widths))
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for header, width in widths.items():
        table.add_column(header, width=width, no_wrap=True, overflow="ellipsis")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text(word, _STYLES.get(word, "")) for word in row))
    out.print(table)


def _widths(columns: Mapping[str, Sequence[str]], long: str, room: int) -> dict[str, int]:
    """What each column needs, less what `long` can spare for all of them to fit into `room`."""
    from rich.cells import cell_len

    widths = {header: max(map(cell_len, (header, *cells))) for header, cells in columns.items()}
    excess = _total(widths) - room
    if long in widths and excess > 0:
        widths[long] = min(widths[long], max(_LEAST, widths[long] - excess))
    return widths


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


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
