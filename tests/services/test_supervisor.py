"""The parent of workers, with fake ones: whom it starts, replaces, retires and kills, and when it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import CHECKOUT, SchedulerProcess

SOON = {
    "_TURN_SECONDS": 0.02, "SILENCE_SECONDS": 0.2, "FULL_SECONDS": 0.1, "SPARE_SECONDS": 0.1,
    "FIRST_PAUSE_SECONDS": 0.02, "END_SECONDS": 0.2, "HURRIED_END_SECONDS": 0.2,
}  # fmt: skip


class Supervised:
    """A supervisor, and the folder that its fake workers obey."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resources = ExitStack()

    def start(self, *, constants: dict[str, float] | None = None, **crew: Any) -> SchedulerProcess:
        crew = {"lease_seconds": 0.3, "shutdown_seconds": 30} | crew
        arguments = [str(self.folder), json.dumps(crew), json.dumps(SOON | (constants or {}))]
        command = [sys.executable, "-m", "tests.services.supervised", *arguments]
        process = self.resources.enter_context(SchedulerProcess(command, cwd=CHECKOUT, env=os.environ))
        self.resources.callback(self._kill_workers, process)
        return process

    @staticmethod
    def _kill_workers(process: SchedulerProcess) -> None:
        process.send(signal.SIGKILL)
        for event in process.events("fake.started"):
            with suppress(ProcessLookupError):
                os.kill(event["pid"], signal.SIGKILL)

    def mode(self, *words: str, pid: int | None = None) -> None:
        self._write("mode" if pid is None else f"mode-{pid}", " ".join(words))

    def report(
        self,
        *,
        executions: int = 0,
        load: float = 0.0,
        more_waits: bool = False,
        loops: Mapping[str, tuple[float, float]] | None = None,
        pid: int | None = None,
    ) -> None:
        report = {"executions": executions, "load": load, "more_waits": more_waits, "loops": loops or {}}
        self._write("report" if pid is None else f"report-{pid}", json.dumps(report))

    def _write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.new").write_text(text)
        (self.folder / f"{name}.new").rename(self.folder / name)


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    found = Supervised(tmp_path)
    with found.resources:
        yield found


def pids(process: SchedulerProcess, count: int) -> list[int]:
    """Of the fake workers that have started so far, at least so many."""
    return [event["pid"] for event in process.said("fake.started", count=count)]


def signals(process: SchedulerProcess) -> list[tuple[int, str]]:
    return [(event["pid"], event["name"]) for event in process.events("fake.signal")]


def test_the_first_starts_alone_and_the_others_when_it_has_shown_that_one_can(supervised: Supervised) -> None:
    supervised.mode("slow")
    process = supervised.start(least=3)
    (first,) = pids(process, 1)
    assert len(process.events("supervisor.started_worker")) == 1
    supervised.mode("exit=9", pid=first)  # before it has reported
    supervised.mode()
    started = process.said("fake.started", count=4)
    assert [event["first"] for event in started] == [True, True, False, False]
    process.send(signal.SIGTERM)
    assert process.exit_status() == 0


def test_one_in_which_nothing_can_begin_any_more_is_retired_and_replaced(supervised: Supervised) -> None:
    process = supervised.start(least=2)
    first, second = pids(process, 2)
    supervised.report(loops={"slots": (9.9, 10.0), "claim": (600.0, 10.0)}, pid=first)
    supervised.report(loops={"slots": (10.1, 10.0)}, pid=second)
    process.said("fake.retired")
    pids(process, 3)
    assert [event["pid"] for event in process.events("supervisor.hung")] == [second]
    assert [event["pid"] for event in process.events("fake.retired")] == [second]
    assert process.events("supervisor.replacing") == []


def test_one_that_hangs_and_does_not_retire_is_killed(supervised: Supervised) -> None:
    process = supervised.start(least=1, shutdown_seconds=0.3)
    (hung,) = pids(process, 1)
    supervised.report(loops={"slots": (10.1, 10.0)}, pid=hung)
    supervised.mode("stubborn", pid=hung)
    assert [event["pid"] for event in process.said("supervisor.overdue")] == [hung]
    pids(process, 2)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_one_that_dies_is_replaced_after_a_pause_that_grows(supervised: Supervised, number: signal.Signals) -> None:
    process = supervised.start()
    for deaths in (1, 2, 3):
        os.kill(pids(process, deaths)[-1], number)
        process.said("supervisor.replacing", count=deaths)
    pids(process, 4)
    events = process.events("supervisor.replacing")
    assert [event["how"] for event in events] == [f"was ended by {number.name}"] * 3
    assert [
        0.5 * pause - 0.05 <= event["seconds"] <= pause + 0.05
        for event, pause in zip(events, (0.02, 0.04, 0.08), strict=True)
    ]


def test_those_that_die_together_share_a_pause(supervised: Supervised) -> None:
    process = supervised.start(least=4, constants={"FIRST_PAUSE_SECONDS": 0.4})
    before = pids(process, 4)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    events = process.said("supervisor.replacing", count=4)
    assert all(0.0 <= event["seconds"] <= 0.4 for event in events)
    assert not set(pids(process, 8)[4:]) & set(before)


def test_an_exit_that_nobody_asked_for_is_replaced_too(supervised: Supervised) -> None:
    supervised.mode("exit=0")
    process = supervised.start()
    process.said("supervisor.replacing", count=2)
    supervised.mode()
    pids(process, 3)
    assert process.is_up


def test_one_that_falls_silent_is_killed_and_replaced(supervised: Supervised) -> None:
    process = supervised.start(least=2)
    silent, other = pids(process, 2)
    supervised.mode("silent", "deaf", pid=silent)
    (event,) = process.said("supervisor.silent")
    assert event["pid"] == silent
    assert other not in {each["pid"] for each in process.said("supervisor.replacing")}
    pids(process, 3)


def test_one_that_is_stopped_is_killed_and_replaced(supervised: Supervised) -> None:
    process = supervised.start()
    os.kill(pids(process, 1)[0], signal.SIGSTOP)
    process.said("supervisor.silent")
    pids(process, 2)


def test_one_that_never_begins_to_report_is_killed(supervised: Supervised) -> None:
    supervised.mode("slow")
    process = supervised.start(constants={"FIRST_REPORT_SECONDS": 0.3})
    process.said("supervisor.silent")
    supervised.mode()
    pids(process, 2)


def test_after_it_was_stopped_itself_it_blames_nobody(supervised: Supervised) -> None:
    process = supervised.start(least=2, lease_seconds=0.8)
    workers = pids(process, 2)
    together = [process.pid, *workers]
    for pid in together:
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        process._process.wait(1.5)
    for pid in together:
        os.kill(pid, signal.SIGCONT)
    process.send(signal.SIGTERM)
    assert process.exit_status() == 0
    assert process.events("supervisor.silent") == []


def test_more_of_them_while_work_waits_and_fewer_when_they_have_little_to_do(supervised: Supervised) -> None:
    process = supervised.start(least=1, most=3)
    (first,) = pids(process, 1)
    supervised.report(load=1.0, more_waits=True)
    assert [event["processes"] for event in process.said("supervisor.scaled", count=2)] == [2, 3]
    workers = pids(process, 3)
    supervised.report(load=0.2)
    supervised.report(load=0.0, pid=workers[1])
    assert [event["processes"] for event in process.said("supervisor.scaled", count=4)[2:]] == [2, 1]
    retired = [event["pid"] for event in process.said("fake.retired", count=2)]
    assert retired[0] == workers[1]  # the one with the least to do
    assert set(retired) <= set(workers)
    assert process.events("supervisor.replacing", "fake.signal") == []
    assert first in workers


def test_one_that_has_room_is_enough_not_to_start_another(supervised: Supervised) -> None:
    process = supervised.start(least=2, most=3)
    one, other = pids(process, 2)
    supervised.report(load=1.0, more_waits=True)
    supervised.report(load=0.6, pid=one)
    os.kill(other, signal.SIGKILL)  # some time goes by
    pids(process, 3)
    process.send(signal.SIGTERM)
    assert process.exit_status() == 0
    assert process.events("supervisor.scaled") == []


def test_a_worn_one_is_retired_when_another_is_there(supervised: Supervised) -> None:
    process = supervised.start(least=2, max_executions=1000)
    one, other = pids(process, 2)
    for pid in (one, other):
        supervised.report(executions=1000, pid=pid)
    retired = [event["pid"] for event in process.said("fake.retired", count=2)]
    assert sorted(retired) == sorted([one, other])
    happened = [event["event"] for event in process.events("supervisor.started_worker", "supervisor.worn")]
    started, worn = "supervisor.started_worker", "supervisor.worn"
    assert happened == [started, started, started, worn, started, worn]
    assert process.events("supervisor.replacing") == []


def test_the_first_signal_is_passed_on_and_the_end_awaited(supervised: Supervised) -> None:
    process = supervised.start(least=3)
    workers = pids(process, 3)
    process.send(signal.SIGINT)
    assert process.exit_status() == 0
    assert sorted(signals(process)) == [(pid, "SIGTERM") for pid in sorted(workers)]


def test_the_second_signal_hurries_them(supervised: Supervised) -> None:
    supervised.mode("deaf")
    process = supervised.start(least=2, shutdown_seconds=600)
    workers = pids(process, 2)
    process.send(signal.SIGTERM)
    process.said("fake.signal", count=2)
    process.send(signal.SIGTERM)
    assert process.exit_status() == 1
    assert sorted(signals(process)) == sorted((pid, name) for pid in workers for name in ("SIGTERM", "SIGUSR1"))


def test_one_that_does_not_end_in_time_is_killed(supervised: Supervised) -> None:
    supervised.mode("deaf")
    process = supervised.start(shutdown_seconds=0.3)
    (pid,) = pids(process, 1)
    process.send(signal.SIGTERM)
    assert process.exit_status() == 1
    assert [event["pid"] for event in process.events("supervisor.overdue")] == [pid]


def test_ended_while_one_starts_nothing_was_abandoned(supervised: Supervised) -> None:
    supervised.mode("slow")
    process = supervised.start(least=2)
    pids(process, 1)
    process.send(signal.SIGTERM)
    assert process.exit_status() == 0


def test_an_abandoned_execution_is_told_by_the_exit_code(supervised: Supervised) -> None:
    process = supervised.start(least=2)
    one, _ = pids(process, 2)
    supervised.mode("deaf", pid=one)
    process.send(signal.SIGTERM)
    process.said("fake.signal", count=2)
    supervised.mode("exit=1", pid=one)
    assert process.exit_status() == 1


def test_a_configuration_that_can_not_work_is_not_tried_again(supervised: Supervised) -> None:
    supervised.mode("exit=2")
    process = supervised.start(least=3)
    assert process.exit_status() == 2
    assert len(process.events("fake.started")) == 1


def test_one_that_worked_before_is_tried_again(supervised: Supervised) -> None:
    """A server that is away for a moment looks the same to a worker that starts."""
    process = supervised.start()
    pids(process, 1)
    supervised.mode("exit=2")
    assert {event["how"] for event in process.said("supervisor.replacing", count=3)} == {"exited with status 2"}
    supervised.mode()
    assert process.is_up


def test_where_they_work_until_idle_those_that_crash_are_replaced_and_the_others_not(supervised: Supervised) -> None:
    process = supervised.start(least=2, until_idle=True)
    one, other = pids(process, 2)
    os.kill(one, signal.SIGKILL)
    third = pids(process, 3)[-1]
    supervised.mode("idle", pid=other)
    supervised.mode("idle", pid=third)
    assert process.exit_status() == 0
    assert len(process.events("fake.started")) == 3


def test_when_the_system_has_no_process_to_give_it_waits_and_keeps_the_others(supervised: Supervised) -> None:
    process = supervised.start(least=2)
    one, other = pids(process, 2)
    (supervised.folder / "full").touch()
    os.kill(one, signal.SIGKILL)
    events = process.said("supervisor.not_started", count=2)
    assert events[0]["why"] == "Resource temporarily unavailable"
    (supervised.folder / "full").unlink()
    pids(process, 3)
    os.kill(other, 0)


def test_as_the_first_process_of_a_container_it_buries_strangers(supervised: Supervised) -> None:
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespace of processes can be made here")
    stranger = (
        "import os, time\nif os.fork() == 0:\n    if os.fork() == 0: time.sleep(0.05)\n    os._exit(0)\nos.wait()"
    )
    script = f"""
import json, os, subprocess, sys, threading, time
from pathlib import Path
subprocess.run([sys.executable, "-S", "-c", {stranger!r}])
from tests.services.supervised import main
from scheduler.services.crew import Crew

def look():
    while len(states := [p.read_text().split()[2] for p in Path("/proc").glob("[0-9]*/stat")]) != 2 or "Z" in states:
        time.sleep(0.01)
    os.write(1, (json.dumps({{"event": "clean"}}) + "\\n").encode())

threading.Thread(target=look, daemon=True).start()
assert os.getpid() == 1
sys.exit(main(Path({str(supervised.folder)!r}), Crew(), {SOON!r}))
"""
    command = [*unshare, sys.executable, "-c", script]
    process = supervised.resources.enter_context(SchedulerProcess(command, cwd=CHECKOUT, env=os.environ))
    process.said("fake.started")
    process.said("clean")
