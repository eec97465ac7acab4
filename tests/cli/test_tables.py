"""Tables on a terminal of 80 columns, and in a pipe."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from rich.cells import cell_len

from scheduler.cli.tables import print_json, print_table

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

    def lines(stream: StringIO, *rows: tuple[object, ...], **options: Any) -> list[str]:
        monkeypatch.setattr("sys.stdout", stream)
        print_table(HEADERS, rows, **options)
        return [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in stream.getvalue().splitlines()]

    return lines


def test_a_long_column_ends_in_an_ellipsis(on: Print) -> None:
    header, first, second = on(Terminal(), *ROWS, long="error")
    assert header == "id  handler                 status   attempt  error"
    assert first == " 1  email                   SUCCESS        1"
    assert second.startswith(" 2  shop.invoices.generate  FAILED        12  ValueError: no such")
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
    assert line == f" 1  {handler}  FAILED  nightly report        3  ValueError:…"


def test_a_short_text_in_a_long_column_keeps_its_length(on: Print) -> None:
    (_, line) = on(Terminal(), (1, "x" * 100, "FAILED", None, 1, "no paper"), long="error")
    assert line.endswith("no paper")


def test_a_pipe_gets_all_of_it(on: Print) -> None:
    header, _, second = on(StringIO(), *ROWS, long="error")
    assert header.split() == ["id", "handler", "status", "cron", "job", "attempt", "error"]
    assert second.endswith(ERROR.rstrip())


def test_a_column_that_tells_nothing_is_left_out_on_a_terminal(on: Print) -> None:
    usual = {"handler": "email", "status": "FAILED"}
    header, _, _ = on(
        Terminal(), (1, "email", "FAILED", "", 1, None), (2, "report", "FAILED", None, 1, ""), usual=usual
    )
    assert header.split() == ["id", "handler", "attempt"]
    header, _ = on(StringIO(), (1, "email", "FAILED", "", 1, None), usual=usual)
    assert header.split() == ["id", "handler", "status", "cron", "job", "attempt", "error"]


def test_columns_that_can_be_spared_make_room_where_it_is_needed(on: Print) -> None:
    spare = ("attempt", "handler")
    row: tuple[object, ...] = (2, "shop.invoices.generate", "FAILED", "nightly", 12, ERROR)
    header, line = on(Terminal(), row, long="error", spare=spare)
    assert header.split() == ["id", "handler", "status", "cron", "job", "error"]
    assert (len(line), line[-1]) == (80, "…")
    row = (2, "a.handler.with.a.long.name", "FAILED", "a cron job with one too", 12, ERROR)
    header, _ = on(Terminal(), row, long="error", spare=spare)
    assert header.split() == ["id", "status", "cron", "job", "error"]
    short = (2, "shop.invoices.generate", "FAILED", "nightly", 12, "no paper")
    header, _ = on(Terminal(), short, long="error", spare=spare)
    assert header.split() == ["id", "handler", "status", "cron", "job", "attempt", "error"]


def test_numbers_stand_on_the_right(on: Print) -> None:
    _, *lines = on(StringIO(), (1, "a", "", "", None, ""), (12_345, "b", "", "", 7, ""))
    assert lines == ["    1  a", "12345  b                                7"]


@pytest.mark.parametrize(("variable", "coloured"), [("COLORTERM", True), ("NO_COLOR", False)])
def test_colour_is_for_terminals_that_want_it(
    on: Print, monkeypatch: pytest.MonkeyPatch, variable: str, coloured: bool
) -> None:
    monkeypatch.setenv(variable, "1")
    terminal = Terminal()
    on(terminal, (1, "email", "FAILED", None, 1, None))
    assert ("\x1b[31mFAILED" in terminal.getvalue()) is coloured


def test_no_rows_are_no_lines_but_the_header(on: Print) -> None:
    assert [line.split() for line in on(StringIO())] == [["id", "handler", "status", "cron", "job", "attempt", "error"]]


def test_what_a_program_gets(capsys: pytest.CaptureFixture[str]) -> None:
    """Times in UTC, durations in seconds, ids of any kind as text."""
    zone = timezone(timedelta(hours=9))
    id_ = UUID(int=7)
    print_json({"at": datetime(2026, 1, 1, 9, tzinfo=zone), "took": timedelta(seconds=1.5), "worker": id_})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-01T00:00:00+00:00", "took": 1.5, "worker": str(id_)}
