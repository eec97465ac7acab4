"""Whatever a handler raises can be told and stored."""

import asyncio
import sys
import traceback
from contextlib import suppress
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from scheduler.handlers import clean_text, declare, describe_error
from scheduler.isolation.task import TaskIsolation
from scheduler.isolation.thread import ThreadIsolation
from scheduler.testing.isolation_contract import context, ended
from tests.faults.hostile_jobs import HostileText, HostileTextError, NamelessError

LOST = "\N{REPLACEMENT CHARACTER}"


def raised(error: BaseException) -> BaseException:
    """The same, with a traceback."""
    with suppress(type(error)):
        raise error
    return error


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain", "plain"),
        ("a\0b", f"a{LOST}b"),
        ("\ud800", LOST),
        ("a\udc00é", f"a{LOST}é"),
        ("\ud83d\ude00", "\U0001f600"),
        ("한국어 \U0001f600", "한국어 \U0001f600"),
        ("", ""),
    ],
)
def test_what_postgres_refuses_is_replaced(text: str, clean: str) -> None:
    assert clean_text(text) == clean


@pytest.mark.parametrize("letter", ["x", "é", "\ud800"])
def test_a_long_text_keeps_its_head_its_tail_its_length_and_its_digest(letter: str) -> None:
    text = "head" + letter * 20_000 + "tail"
    cut = clean_text(text, 1000)
    assert len(cut) == 1000
    assert cut.startswith("head")
    assert cut.endswith("tail")
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    assert f"… 20008 characters, cut here; sha256 {digest} …" in cut


@pytest.mark.parametrize("limit", [0, 1, 10, 30, 40])
def test_even_a_tiny_limit_holds(limit: int) -> None:
    assert len(clean_text("x" * 100, limit)) <= limit


def test_the_first_line_says_it() -> None:
    assert describe_error(raised(ValueError("no such account")))[0] == "ValueError: no such account"
    assert describe_error(raised(ValueError()))[0] == "ValueError"
    assert describe_error(raised(ValueError("\0\ud800")))[0] == f"ValueError: {LOST}{LOST}"


def test_texts_and_types_with_methods_of_their_own_are_told() -> None:
    assert describe_error(raised(HostileTextError()))[0] == f"HostileTextError: text{LOST}"
    assert describe_error(raised(NamelessError("why")))[0] == "NamelessError: why"
    assert clean_text(HostileText("a\0")) == f"a{LOST}"


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class UnprintableError(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name == "__notes__":
            raise KeyboardInterrupt
        return super().__getattribute__(name)


def test_an_exception_that_breaks_when_shown_is_still_told() -> None:
    headline, trace = describe_error(raised(UnspeakableError()))
    assert headline == "UnspeakableError: its message can't be shown, str() of it raised SystemExit"
    assert trace.endswith("UnspeakableError: <exception str() failed>\n")
    headline, trace = describe_error(raised(UnprintableError("x")))
    assert headline == "UnprintableError: x"
    assert trace.startswith("The traceback can't be shown")


async def test_the_traceback_begins_at_the_handler() -> None:
    async def fail(params: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        raise ValueError("here")

    def fail_blocking(params: dict[str, Any]) -> None:
        raise ValueError("here")

    pool = ThreadIsolation(1)
    for running in (
        TaskIsolation().start(declare("fail", fail, "", {}), context()),
        pool.start(declare("fail", fail, "", {"run_in": "thread"}), context()),
        pool.start(declare("fail", fail_blocking, "", {}), context()),
    ):
        error = (await ended(running)).error
        assert error is not None
        lines = describe_error(error)[1].splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert __file__ in lines[1]
        assert "in fail" in lines[1]
        assert lines[-1] == "ValueError: here"
    await pool.close(1)


async def test_a_chained_fault_tells_its_cause() -> None:
    async def fail(params: dict[str, Any]) -> None:
        try:
            dict[str, int]()["inner"]
        except KeyError as error:
            raise ValueError("outer") from error

    error = (await ended(TaskIsolation().start(declare("fail", fail, "", {}), context()))).error
    assert error is not None
    trace = describe_error(error)[1]
    assert "KeyError: 'inner'" in trace
    assert "direct cause" in trace
    assert "isolation/task.py" not in trace


def test_groups_and_endless_recursion_stay_small() -> None:
    def recurse(n: int) -> int:
        return recurse(n + 1) + 1

    group = ExceptionGroup("many", [ValueError("x" * 1000) for _ in range(1000)])
    with pytest.raises(RecursionError) as deep:
        recurse(0)
    for error in (group, deep.value):
        headline, trace = describe_error(raised(error))
        assert headline.startswith(type(error).__name__)
        assert len(trace) <= 8192
        assert "line" in trace


def test_of_ten_thousand_calls_the_last_are_shown_and_the_others_counted() -> None:
    def descend(depth: int) -> None:
        if not depth:
            raise ValueError("at the bottom")
        (descend if depth % 2 else lambda left: descend(left))(depth - 1)

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(30_000)
    try:
        with pytest.raises(ValueError, match="at the bottom") as found:
            descend(6_666)
    finally:
        sys.setrecursionlimit(before)
    depth = sum(1 for _ in traceback.walk_tb(found.value.__traceback__))
    headline, trace = describe_error(found.value)
    assert depth > 10_000
    assert headline == "ValueError: at the bottom"
    assert trace.startswith(f"({depth - 100} calls before these are left out.)\nTraceback (most recent call last):\n")
    assert trace.endswith("ValueError: at the bottom\n")
    assert len(trace) <= 8192


def test_postgres_takes_what_is_told(database_url: str) -> None:
    conninfo = database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for error in (ValueError("\0"), KeyError("\ud800"), UnspeakableError(), OSError(5, "x" * 10**6)):
            for text in describe_error(raised(error)):
                assert connection.execute("SELECT %s::text", [text]).fetchone() == (text,)
