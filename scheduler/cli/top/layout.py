"""layout: which lists are shown, and how many rows each of them gets, where there is not room for everything."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

Thing = TypeVar("Thing")

_SIDE_BY_SIDE: Final = 100
"""From so many columns on, two lists fit beside each other, and each has a frame."""
_LEAST: Final = 2
"""Rows that a list is worth its heading for, if it has them."""


def is_wide(width: int) -> bool:
    return width >= _SIDE_BY_SIDE


def rows_of(needs: Sequence[int], room: int | None, heading: int) -> list[int]:
    """How many rows each list gets, 0 where it is left out; the most important lists come first.

    `needs` are the rows that they have, `room` all lines there are for them (None: no end), `heading` what a list takes
    beside its rows. Rows are dealt out one after the other, so that no list starves beside a long one.
    """
    if room is None:
        return list(needs)
    shown = len(needs)
    while shown > 1 and sum(min(need, _LEAST) + heading for need in needs[:shown]) > room:
        shown -= 1
    rows = [min(need, _LEAST) for need in needs[:shown]]
    left = room - sum(rows) - heading * shown
    while left > 0 and any(have < need for have, need in zip(rows, needs, strict=False)):
        for place, need in enumerate(needs[:shown]):
            if rows[place] < need and left > 0:
                rows[place] += 1
                left -= 1
    return rows + [0] * (len(needs) - shown)


def window(things: Sequence[Thing], at: int, rows: int) -> Iterable[Thing]:
    """So many of them that the one at `at` is in sight."""
    first = max(0, min(at - rows // 2, len(things) - rows))
    return things[first : first + rows]


def titled(
    title: str, count: int, table: RenderableType, colour: str, *, here: bool, frame: int | None
) -> RenderableType:
    """A list under its title, or in a frame of so many lines."""
    head = Text.assemble((f" {title} ", f"bold {colour}" if here else "bold"), (f"{count:,} " if count else "", "dim"))
    style = f"bold {colour}" if here else f"dim {colour}"
    if frame is not None:
        return Panel(table, height=frame, title=head, title_align="left", border_style=style)
    return Group(Rule(head, align="left", style=style, characters="━" if here else "─"), table)


def beside(lists: Iterable[tuple[int, RenderableType]]) -> RenderableType:
    """Each with its share of the width."""
    shares, parts = zip(*lists, strict=True)
    grid = Table.grid(expand=True)
    for share in shares:
        grid.add_column(ratio=share)
    grid.add_row(*parts)
    return grid
