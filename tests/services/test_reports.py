"""What a worker says to its supervisor, and what it hears."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from scheduler.metrics import Tally
from scheduler.model import LoopAge
from scheduler.services import reports as reports_module
from scheduler.services.reports import MEASURE, RETIRE, Report, Reports

REPORT = Report(executions=7, load=0.5, more_waits=True, loops={"claim": LoopAge(0.5, 15.0)})


def nothing() -> None:
    """Not asked for here."""


class Worker:
    """Reports to one end of a channel."""

    def __init__(self, end: socket.socket) -> None:
        self.heard: list[str] = []
        self.reports = Reports(
            end.fileno(),
            lambda: REPORT,
            retire=lambda: self.heard.append("retire"),
            measure=lambda: self.heard.append("measure"),
            orphaned=lambda: self.heard.append("orphaned"),
        )


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    monkeypatch.setattr(reports_module, "INTERVAL_SECONDS", 0.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def test_a_report_is_a_line(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    worker = Worker(theirs)
    await worker.reports.round()
    await worker.reports.round()
    line, again, rest = ours.recv(4096).split(b"\n")
    assert (line, rest) == (again, b"")
    assert Report.read(line) == REPORT
    assert worker.heard == []


async def test_it_hears_that_it_shall_retire(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    worker = Worker(theirs)
    ours.send(RETIRE)
    await worker.reports.round()
    assert worker.heard == ["retire"]


async def test_it_hears_that_it_shall_measure(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    worker = Worker(theirs)
    ours.send(MEASURE)
    await worker.reports.round()
    assert worker.heard == ["measure"]


async def test_what_was_counted_is_told_once_however_little_fits(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    tally, counted, read = Tally(), Tally(), b""
    reports = Reports(
        theirs.fileno(),
        lambda: replace(REPORT, counted=tally.take()),
        retire=nothing, measure=nothing, orphaned=nothing,
    )  # fmt: skip
    for at in range(300):
        tally.count("scheduler_attempts_total", f"{at} {'x' * 500}", "default", "success")
        await reports.round()
    assert list(tally), "the channel never was full"
    while len(list(counted)) < 300:
        reports.last()
        *lines, read = (read + ours.recv(1 << 20)).split(b"\n")
        for line in lines:
            counted.add(Report.read(line).counted)
    assert all(cell == [1.0] for _, cell in counted)


async def test_a_supervisor_that_does_not_listen_delays_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    worker = Worker(theirs)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(500):
        await worker.reports.round()
    assert worker.heard == []
    assert all(Report.read(line) == REPORT for line in ours.recv(1 << 20).splitlines())


@pytest.mark.parametrize("unread", [False, True])
async def test_it_notices_that_it_is_alone(ends: tuple[socket.socket, socket.socket], unread: bool) -> None:
    ours, theirs = ends
    worker = Worker(theirs)
    if unread:
        await worker.reports.round()
    ours.close()
    await worker.reports.round()
    assert worker.heard == ["orphaned"]
