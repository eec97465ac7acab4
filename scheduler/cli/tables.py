"""Rows for people, JSON for programs; both on stdout."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TextIO
from uuid import UUID

from scheduler.cli.printable import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console

_UNBOUNDED = 100_000
"""Columns of a file or a pipe, which nothing may be cut or folded to fit."""
_GAP = 2
_LEAST, _READABLE = 12, 30
"""What a long column keeps, however narrow the terminal is; and from where on it tells enough."""

_SHORT = 60
"""Signs of JSON that stay on one line."""

_STYLES = {
    "SUCCESS": "green", "enabled": "green", "active": "green", "open": "green",
    "RUNNING": "cyan", "draining": "cyan",
    "PENDING": "dim", "SKIPPED": "dim", "CANCELLED": "yellow", "paused": "yellow", "inactive": "yellow",
    "FAILED": "red", "TIMEOUT": "red", "lost": "red", "invalid": "red",
}  # fmt: skip


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    long: str = "",
    usual: Mapping[str, object] = MappingProxyType({}),
    spare: Sequence[str] = (),
) -> None:
    """A line per row. A cell is shown as `str` has it, an empty one for None, and a known state in its colour.

    Columns of numbers stand on the right. On a terminal, columns that tell nothing are left out: those without any
    content, and those of `usual` in which every cell is the one named there. Where the terminal is too narrow, columns
    of `spare` go until the column `long` can be read, and its cells end in an ellipsis. No other cell is ever cut.
    """
    from rich.table import Table
    from rich.text import Text

    out = console(sys.stdout)
    columns = dict(zip(headers, list(zip(*rows, strict=True)) or [()] * len(headers), strict=True))
    if sys.stdout.isatty():
        telling = (header for header, cells in columns.items() if not set(cells) <= {None, "", usual.get(header)})
        columns = {header: columns[header] for header in telling}
    words = {header: [_word(cell) for cell in cells] for header, cells in columns.items()}
    _spare(words, long, spare, out.width)
    widths = _widths(words, long, out.width)
    out.width = max(out.width, _total(widths))
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for header, width in widths.items():
        side: Literal["left", "right"] = "right" if _numeric(columns[header]) else "left"
        table.add_column(header, width=width, justify=side, no_wrap=True, overflow="ellipsis")
    for row in zip(*words.values(), strict=True):
        table.add_row(*(Text(word, _STYLES.get(word, "")) for word in row))
    out.print(table)


def _word(cell: object) -> str:
    return "" if cell is None else one_line(str(cell))


def _numeric(cells: Iterable[object]) -> bool:
    found = {type(cell) for cell in cells if cell is not None}
    return bool(found) and found <= {int, float}


def _spare(columns: dict[str, list[str]], long: str, spare: Iterable[str], room: int) -> None:
    """Take columns out until `long` has what it needs, or enough to be read."""
    for header in spare:
        enough = min(_needed(long, columns.get(long, ())), _READABLE)
        if _widths(columns, long, room).get(long, enough) < enough:
            columns.pop(header, None)


def _needed(header: str, cells: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, (header, *cells)))


def _widths(columns: Mapping[str, Sequence[str]], long: str, room: int) -> dict[str, int]:
    """What each column needs, less what `long` can spare for all of them to fit into `room`."""
    widths = {header: _needed(header, cells) for header, cells in columns.items()}
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
    """Dataclasses as objects, times as ISO 8601 in UTC, durations in seconds."""
    print(json.dumps(value, default=_plain, indent=2))


def pretty_json(value: Any) -> str:
    """On one line where it is short."""
    line = compact_json(value)
    return line if len(line) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)


def compact_json(value: Any) -> str:
    """On one line. What is a text already stays as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(
        file=stream, highlight=False, markup=False, emoji=False, width=None if stream.isatty() else _UNBOUNDED
    )


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        case _:
            raise TypeError(type(value))
