"""Findings for people: by subject, each with its sign, what to do, and where it is explained."""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

from scheduler.cli.printable import printable
from scheduler.cli.tables import console
from scheduler.operations.doctor import Finding, Level
from scheduler.operations.words import count_of

if TYPE_CHECKING:
    from rich.console import Console

Found = Sequence[tuple[str, Finding]]

_SIGNS = {
    Level.FINE: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.ERROR: ("✗", "red"),
    Level.UNCHECKED: ("–", "dim"),
}
_PLAIN_SIGNS = {Level.FINE: "+", Level.WARNING: "!", Level.ERROR: "x", Level.UNCHECKED: "-"}
"""Where stdout takes no others."""
_ORDER = (Level.ERROR, Level.WARNING, Level.UNCHECKED, Level.FINE)
_SIGN, _BODY = 2, 4
"""Columns before a sign, and before what belongs to it."""
_WIDEST = 120


def print_report(found: Found, *, quiet: bool) -> None:
    """On stdout; with `quiet`, what is fine is only counted."""
    out = console(sys.stdout)
    shown = [(subject, finding) for subject, finding in found if not quiet or finding.level is not Level.FINE]
    order = list(dict.fromkeys(subject for subject, _ in shown))
    ordered = sorted(shown, key=lambda pair: order.index(pair[0]))
    for subject, group in groupby(ordered, key=lambda pair: pair[0]):
        _line(out, subject, "bold")
        for _, finding in group:
            _finding(out, finding)
        _line(out, "")
    _line(out, _summary(found), _SIGNS[worst(found)][1])
    if bad := [finding for _, finding in found if finding.level in (Level.ERROR, Level.WARNING)]:
        _line(out, f"What a finding means at length: scheduler doctor --page {bad[0].code}", "dim")


def worst(found: Found) -> Level:
    """UNCHECKED counts as fine: nobody knows any better."""
    levels = {finding.level for _, finding in found}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.FINE)


def _finding(out: "Console", finding: Finding) -> None:
    sign, style = _SIGNS[finding.level]
    sign = sign if _can_write(sign) else _PLAIN_SIGNS[finding.level]
    first, *more = _wrapped(out, finding.says)
    from rich.text import Text

    out.print(Text(" " * _SIGN), Text(sign, style), Text(f" {first}"), sep="", soft_wrap=True)
    for line in more:
        _line(out, " " * _BODY + line)
    for line in _wrapped(out, finding.fix or ""):
        _line(out, " " * _BODY + line)
    for statement in finding.sql:
        _line(out, " " * (_BODY + 2) + printable(statement), "cyan")
    if finding.level in (Level.ERROR, Level.WARNING):
        _line(out, " " * _BODY + finding.page, "dim")


def _can_write(sign: str) -> bool:
    try:
        sign.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _wrapped(out: "Console", text: str) -> Iterator[str]:
    """On a terminal, folded between words; a line of a pipe is never folded."""
    width = max(20, min(out.width, _WIDEST) - _BODY) if sys.stdout.isatty() else sys.maxsize
    for line in printable(text).split("\n"):
        yield from wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""] * bool(text)


def _line(out: "Console", text: str, style: str = "") -> None:
    from rich.text import Text

    out.print(Text(text, style), soft_wrap=True)


def _summary(found: Found) -> str:
    """`2 errors, 1 warning, 14 fine.`"""
    counts = {level: sum(finding.level is level for _, finding in found) for level in _ORDER}
    words = {
        Level.ERROR: count_of(counts[Level.ERROR], "error"),
        Level.WARNING: count_of(counts[Level.WARNING], "warning"),
        Level.UNCHECKED: f"{counts[Level.UNCHECKED]} not examined",
        Level.FINE: f"{counts[Level.FINE]} fine",
    }
    return ", ".join(words[level] for level in _ORDER if counts[level]) + "."
