"""Tables on a terminal of 80 columns, and in a pipe."""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from rich.cells import cell_len

from scheduler.cli.tables import print_table

Print = Callable[..., list[str]]

HEADERS = ("id", "handler", "status", "cron job", "attempt", "error")
ERROR = "ValueError: " + "no such address " * 20
ROWS = [(1, "email", "SUCCESS", None, 1, None), (2, "shop.invoices.generate", "FAILED", None, 12, ERROR)]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Print:
    """The lines of a table, printed on that stream."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")

    def lines(stream: StringIO, *rows: tuple[object, ...], **options: str) -> list[str]:
        monkeypatch.setattr("sys.stdout", stream)
        print_table(HEADERS, rows, **options)
        return [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in stream.getvalue().splitlines()]

    return lines


def test_a_long_column_ends_in_an_ellipsis(on: Print) -> None:
    header, first, second = on(Terminal(), *ROWS, long="error")
    assert header == "id  handler                 status   attempt  error"
    assert first == "1   email                   SUCCESS  1"
    assert second.startswith("2   shop.invoices.generate  FAILED   12       ValueError: no such")
    assert second.endswith("…")
    assert len(second) == 80


def test_signs_of_double_width_count_twice(on: Print) -> None:
    (_, line) = on(Terminal(), (1, "이메일", "FAILED", None, 1, "주소가 없습니다 " * 20), long="error")
    assert cell_len(line) in (79, 80)
    assert line.endswith("…")


def test_nothing_else_is_cut_or_folded_however_narrow_it_is(on: Print) -> None:
    handler = "a.handler.with.a.very.long.name." * 3
    header, line = on(Terminal(), (1, handler, "FAILED", "nightly report", 3, ERROR), long="error")
    assert header.split() == ["id", "handler", "status", "cron", "job", "attempt", "error"]
    assert line == f"1   {handler}  FAILED  nightly report  3        ValueError:…"


def test_a_short_text_in_a_long_column_keeps_its_length(on: Print) -> None:
    (_, line) = on(Terminal(), (1, "x" * 100, "FAILED", None, 1, "no paper"), long="error")
    assert line.endswith("no paper")


def test_a_pipe_gets_all_of_it(on: Print) -> None:
    header, _, second = on(StringIO(), *ROWS, long="error")
    assert header.split() == ["id", "handler", "status", "cron", "job", "attempt", "error"]
    assert second.endswith(ERROR.rstrip())
