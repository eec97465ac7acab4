"""The log catalogue: nothing is logged past it, each event is whole in both languages, and a line stays a line."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from string import Formatter

import pytest

from scheduler import messages
from scheduler.errors import did_you_mean
from scheduler.messages import CATALOGUE, Event, Language, configure, log

PACKAGE = Path(messages.__file__).parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "messages.py")
SPEAKS_TO_PEOPLE = "cli"
"""The package whose trade is to print."""

LEVELS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"}
OWN_KEYS = {"time", "level", "event", "message", "traceback"}
HANGUL = re.compile("[가-힣]")


# What the source may say


def ways_around(tree: ast.AST, *, may_print: bool = False) -> Iterator[str]:
    """Each call that writes a line of its own making."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _writes(node.func, may_print):
            yield f"line {node.lineno}: {ast.unparse(node.func)}"


def _writes(function: ast.expr, may_print: bool) -> bool:
    match function:
        case ast.Name("print"):
            return not may_print
        case ast.Attribute(ast.Name("warnings"), "warn"):
            return True
        case ast.Attribute(ast.Name("traceback"), attr):
            return attr.startswith("print")
        case ast.Attribute(owner, attr) if attr in LEVELS:
            return "log" in ast.unparse(owner).rpartition(".")[2].lower()
        case _:
            return False


def complaints(tree: ast.AST) -> Iterator[str]:
    """Each `log(…)` that doesn't fit the catalogue."""
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "scheduler.messages"
        for alias in node.names
        if alias.name == "log"
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name(name)) if name in names:
                yield from (f"line {node.lineno}: {complaint}" for complaint in _misfits(node))
            case ast.Call(ast.Attribute(ast.Name("messages"), "log")):
                yield from (f"line {node.lineno}: {complaint}" for complaint in _misfits(node))


def _misfits(call: ast.Call) -> Iterator[str]:
    events = list(_literals(call.args[0])) if len(call.args) == 1 else []
    if not events:
        yield "the event must be the one positional argument, written as a literal"
    given = {keyword.arg for keyword in call.keywords if keyword.arg}
    spread = any(keyword.arg is None for keyword in call.keywords)
    for event in events:
        if event not in CATALOGUE:
            yield f"no event {event!r}.{did_you_mean(event, CATALOGUE)}"
            continue
        wanted = placeholders(CATALOGUE[event].en)
        if not given <= wanted or (given != wanted and not spread):
            yield f"{event} is given {sorted(given)} and wants {sorted(wanted)}"


def _literals(argument: ast.expr) -> Iterator[str]:
    match argument:
        case ast.Constant(str(event)):
            yield event
        case ast.IfExp(_, body, orelse):
            yield from _literals(body)
            yield from _literals(orelse)


def placeholders(text: str) -> set[str]:
    return {name for name, _, _ in formats(text)}


def formats(text: str) -> set[tuple[str, str | None, str | None]]:
    """Each placeholder with how it is formatted and converted."""
    return {(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_line_is_an_event_of_the_catalogue(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert list(ways_around(tree, may_print=SPEAKS_TO_PEOPLE in path.relative_to(PACKAGE).parts)) == []
    assert list(complaints(tree)) == []


@pytest.mark.parametrize(
    "code",
    [
        "logging.warning('x')",
        "logging.getLogger('x').info('x')",
        "logger.info('x')",
        "self._logger.exception('x')",
        "LOG.error('x')",
        "logger.log(10, 'x')",
        "print('x')",
        "warnings.warn('x')",
        "traceback.print_exc()",
    ],
)
def test_a_way_around_the_catalogue_is_noticed(code: str) -> None:
    assert list(ways_around(ast.parse(code))) != []


@pytest.mark.parametrize("code", ["log('x')", "math.log(2)", "parser.error('x')", "traceback.format_exc()"])
def test_other_calls_are_no_way_around(code: str) -> None:
    assert list(ways_around(ast.parse(code))) == []


def test_the_command_line_may_print() -> None:
    assert list(ways_around(ast.parse("print('x')"), may_print=True)) == []


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("log('worker.startd', concurrency=1)", "no event 'worker.startd'. Did you mean 'worker.started'?"),
        ("log('worker.started')", "worker.started is given [] and wants ['concurrency']"),
        ("log('worker.started', concurrency=1, more=2)", "worker.started is given ['concurrency', 'more'] and wants"),
        ("log('worker.started', **values, more=2)", "worker.started is given ['more'] and wants"),
        ("log(event, concurrency=1)", "the event must be the one positional argument"),
        ("log('worker.started', 1)", "the event must be the one positional argument"),
        ("log('worker.started' if x else 'nope', concurrency=1)", "no event 'nope'."),
    ],
)
def test_a_call_that_does_not_fit_is_noticed(call: str, complaint: str) -> None:
    direct = list(complaints(ast.parse(f"from scheduler.messages import log\n{call}")))
    through_module = list(complaints(ast.parse(f"from scheduler import messages\nmessages.{call}")))

    assert direct == through_module
    assert direct[0].startswith(f"line 2: {complaint}")


@pytest.mark.parametrize("call", ["log('worker.started', concurrency=1)", "log('worker.started', **values)"])
def test_a_call_that_fits_is_fine(call: str) -> None:
    assert list(complaints(ast.parse(f"from scheduler.messages import log\n{call}"))) == []


# What the catalogue holds


@pytest.mark.parametrize(("name", "event"), CATALOGUE.items(), ids=list(CATALOGUE))
def test_an_event_is_whole_in_both_languages(name: str, event: Event) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", name)
    assert HANGUL.search(event.ko)
    assert not HANGUL.search(event.en)
    assert formats(event.en) == formats(event.ko)
    assert all(value.isidentifier() and value not in OWN_KEYS for value in placeholders(event.en))
    assert event.level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


# What a line looks like


@pytest.fixture
def stream() -> Iterator[StringIO]:
    logger = messages.logger
    before = logger.handlers[:], logger.level, logger.propagate
    yield StringIO()
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Worker started with concurrency 2"), ("ko", "워커가 동시 실행 수 2(으)로 시작되었습니다")],
)
def test_text_is_for_people(stream: StringIO, language: Language, words: str) -> None:
    configure(language=language, stream=stream)

    log("worker.started", concurrency=2)

    assert re.fullmatch(rf"\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\] INFO: {re.escape(words)}\n", stream.getvalue()), (
        stream.getvalue()
    )


def test_json_is_one_object_a_line(stream: StringIO) -> None:
    configure(form="json", language="ko", stream=stream)

    log("worker.started", concurrency=2)

    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", line.pop("time"))
    assert line == {
        "level": "INFO",
        "event": "worker.started",
        "message": "워커가 동시 실행 수 2(으)로 시작되었습니다",
        "concurrency": 2,
    }


@pytest.mark.parametrize("seconds", [7.0009, "7.001"])
def test_a_number_is_rounded_for_people_and_whole_for_programs(stream: StringIO, seconds: float | str) -> None:
    configure(form="text", stream=stream)
    log("execution.succeeded", id=6, handler="email", seconds=seconds)
    configure(form="json", stream=stream)
    log("execution.succeeded", id=6, handler="email", seconds=seconds)

    text, line = stream.getvalue().splitlines()
    assert text.endswith("INFO: Execution 6 (email) SUCCESS in 7.001 s")
    assert json.loads(line)["message"] == "Execution 6 (email) SUCCESS in 7.001 s"
    assert json.loads(line)["seconds"] == seconds


HOSTILE = "a\n[2026-01-08 13:30:02] ERROR: forged\r\0\x1b[31m\x7f\x9b2J\u2028\u202e\u2066\ud800"


def test_a_value_can_not_forge_a_line_or_steer_a_terminal(stream: StringIO) -> None:
    configure(stream=stream)

    log("planner.refused", name=HOSTILE, reason="x")

    (line,) = stream.getvalue().splitlines()
    assert line.endswith("WARNING: Cron job a [2026-01-08 13:30:02] ERROR: forged   [31m  2J     is not planned: x")
    assert line.isprintable()


def test_json_keeps_a_hostile_value_whole_and_harmless(stream: StringIO) -> None:
    configure(form="json", stream=stream)

    log("planner.refused", name=HOSTILE, reason="한글")

    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    assert "한글" in line
    assert json.loads(line)["name"] == HOSTILE


def test_lines_below_the_level_are_not_written(stream: StringIO) -> None:
    configure("warning", stream=stream)

    log("worker.started", concurrency=2)
    log("planner.refused", name="a", reason="b")

    assert [line.split("] ")[1] for line in stream.getvalue().splitlines()] == ["WARNING: Cron job a is not planned: b"]


def test_configuring_again_replaces_the_stream(stream: StringIO) -> None:
    configure(stream=StringIO())
    configure(stream=stream)

    log("worker.started", concurrency=2)

    assert len(stream.getvalue().splitlines()) == 1


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"worker\.dreamt"):
        log("worker.dreamt")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_handler_s_own_line_keeps_its_traceback(stream: StringIO, form: str) -> None:
    configure(form="json" if form == "json" else "text", stream=stream)

    try:
        int("broken")
    except ValueError:
        logging.getLogger("scheduler.handlers.email").exception("sending to %s\nfailed", "ann")

    written = stream.getvalue()
    assert "sending to ann failed" in written
    assert "ValueError: invalid literal" in written
    assert len(written.splitlines()) == 1 or form == "text"
