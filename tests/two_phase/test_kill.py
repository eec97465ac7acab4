"""SIGKILL at every point of a two-phase commit: all databases have it or none, and nothing stays in doubt."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from scheduler.database import DatabaseRegistry, recovery
from tests.two_phase import doomed
from tests.two_phase.conftest import NAMES, Place

TIMES = 50 if os.environ.get("SCHEDULER_TEST_LONG") else 2
TWO, THREE = ("default", "business"), NAMES
DECIDED = {
    "after_commit:default": True,
    "after_decision": True,
    "before_decision": False,
    "before_commit:default": False,
}


def points(over: Sequence[str]) -> dict[str, bool]:
    """Where the process dies, and whether it was decided by then."""
    others = [name for name in over if name != "default"]
    before = [f"{when}_prepare:{name}" for name in others for when in ("before", "after")]
    after = [f"{when}_commit_prepared:{name}" for name in others for when in ("before", "after")]
    return dict.fromkeys(before, False) | DECIDED | dict.fromkeys(after, True)


class Doomed:
    """The process that forks those that die."""

    def __init__(self, place: Place) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", doomed.__name__, json.dumps(place.urls)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, at: str | None, over: Sequence[str], number: int, form: str) -> int:
        """How the child ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = {"at": at, "over": list(over), "id": number, "form": form}
        print(json.dumps(told), file=self._process.stdin, flush=True)
        return int(json.loads(self._process.stdout.readline())["status"])

    def end(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def fork(databases: Place) -> Iterator[Doomed]:
    forking = Doomed(databases)
    yield forking
    forking.end()


async def settle() -> list[str]:
    """Decisions that a resolver carried out."""
    others = [DatabaseRegistry.get("business"), DatabaseRegistry.get("books")]
    report = await recovery.recover(DatabaseRegistry.get("default"), others)
    assert report.failed == {}
    return [each.decision for each in report.carried_out]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("over", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("form", ["async", "sync"])
async def test_a_coordinator_that_is_killed_leaves_all_or_nothing(
    place: Place, fork: Doomed, over: Sequence[str], form: str
) -> None:
    numbers = count(1)
    expected: list[int] = []
    carried_out = 0
    for at, decided in points(over).items():
        for _ in range(TIMES):
            number = next(numbers)
            assert fork.run(at, over, number, form) == -signal.SIGKILL
            carried_out += len(await settle())
            assert place.prepared() == []
            if decided:
                expected.append(number)
        found = place.effects()
        assert found[:2] == [expected, expected], at
        assert found[2] == (expected if over is THREE else []), at
    assert carried_out > 0
    await settle()
    assert place.run("SELECT count(*) FROM job_in_doubt") == [(0,)]
    assert place.run("SELECT count(*) FROM job_transactions WHERE settled_at IS NULL") == [(0,)]


@pytest.mark.parametrize(
    ("at", "split"), [("before_commit_prepared:business", [[1], []]), ("after_prepare:business", [[], [1]])]
)
async def test_a_resolver_that_guesses_is_noticed(
    place: Place, fork: Doomed, monkeypatch: pytest.MonkeyPatch, at: str, split: list[list[int]]
) -> None:
    """Always ROLLBACK after the decision, always COMMIT before it: what this file is there to catch."""
    guess = "ABORT" if points(TWO)[at] else "COMMIT"

    async def decide(_: object, found: dict[str, list[recovery.Prepared]]) -> dict[str, str]:
        return {each.whole: guess for parts in found.values() for each in parts}

    monkeypatch.setattr(recovery, "_decide", decide)
    assert fork.run(at, TWO, 1, "sync") == -signal.SIGKILL

    await settle()

    assert place.effects()[:2] == split


async def test_without_a_fault_nothing_is_left_to_a_resolver(place: Place, fork: Doomed) -> None:
    assert fork.run(None, THREE, 1, "async") == 0
    assert await settle() == []
    assert place.effects() == [[1], [1], [1]]
