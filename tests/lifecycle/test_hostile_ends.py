"""Whatever an attempt ends with, its row says so, and the rows written with it are as they would have been."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from scheduler.handlers import HandlerRegistry, HandlerSpec, RunIn, declare
from scheduler.isolation import Isolation
from scheduler.isolation.task import TaskIsolation
from scheduler.isolation.thread import ThreadIsolation
from scheduler.isolation.verdict import told
from scheduler.lifecycle import settle
from scheduler.lifecycle.run import Attempt
from scheduler.lifecycle.settle import Settled, Settler
from scheduler.model import Claim, Outcome, Status
from scheduler.store.executions import Executions
from scheduler.store.session import RowRefused
from tests.faults.hostile_jobs import ERRORS, VALUES
from tests.store.tables import Tables, claim

PATIENCE_SECONDS = 60.0
FINE = {"fine": [1, 2.5, None, "é"]}
End = Callable[[], object]

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**4290, 10**4310),
    st.floats(),
    st.decimals(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.complex_numbers(),
    st.binary(max_size=20),
    st.text(st.characters(), max_size=20),  # with NUL and lone surrogates
    st.sampled_from(["\0", "\\u0000", "\\\\u0000\0", "\ud800", "\x1b", "%s", "'; --", "x" * (2 * 1024 * 1024)]),
)
KEYS = st.one_of(st.text(st.characters(), max_size=10), st.none(), st.integers(), st.floats(), st.binary(max_size=5))
JSONISH: SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, max_size=5), st.dictionaries(KEYS, parts, max_size=5), st.tuples(parts, parts)
    ),
    max_leaves=20,
)
SMALL = [name for name in (*VALUES, *ERRORS) if "MB" not in name]


def returned(value: object) -> End:
    return lambda: value


def raised(text: object) -> End:
    def fail() -> object:
        raise ValueError(text)

    return fail


def named(name: str) -> End:
    def end() -> object:
        if name in VALUES:
            return VALUES[name]()
        raise ERRORS[name]()

    return end


ENDS: SearchStrategy[End] = st.one_of(
    JSONISH.map(returned), st.one_of(LEAVES, JSONISH).map(raised), st.sampled_from(SMALL).map(named)
)


class Trial:
    """Attempts that end in a way of their own, settled together."""

    def __init__(self, tables: Tables, executions: Executions) -> None:
        self.tables = tables
        self.heard: list[Settled] = []
        self.settler = Settler(executions, self.heard.extend)
        self.isolations: dict[str, Isolation] = {"task": TaskIsolation(), "thread": ThreadIsolation(4)}

    def reported(self, attempt: Attempt, outcome: Outcome) -> None:
        self.settler.put(attempt.claim, outcome)

    def ended(self, attempt: Attempt) -> None:
        """For the watcher's sake."""

    async def run(self, ends: Sequence[End], run_in: RunIn) -> None:
        """Each end between two that are fine."""
        self.heard.clear()
        mixed = [end for each in ends for end in (returned(FINE), each, returned(FINE))]
        claims = [self._claim() for _ in mixed]
        for held, end in zip(claims, mixed, strict=True):
            self._begin(held, end, run_in)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.settler) < len(claims):  # noqa: ASYNC110 - who watches, and can't be told, is what is tried
                await asyncio.sleep(0.001)
        await self.settler.flush()
        self._judge(claims)

    def _begin(self, held: Claim, end: End, run_in: RunIn) -> None:
        attempt = Attempt(held, self)
        attempt.begin(HandlerRegistry([_spec(end, run_in)]), self.isolations)

    def _claim(self) -> Claim:
        id_, token = self.tables.running(max_retry=1)
        return claim(id=id_, token=token, max_retry=1)

    def _judge(self, claims: Sequence[Claim]) -> None:
        assert [settled.claim.id for settled in self.heard] == unordered(held.id for held in claims)
        for place, held in enumerate(claims):
            row = self.tables.execution(held.id)
            assert row["status"] in {"SUCCESS", "FAILED", "CANCELLED", "PENDING"}, row
            assert (row["error"] is None) is (row["status"] == "SUCCESS"), row
            if place % 3 != 1:
                assert (row["status"], row["result"]) == (Status.SUCCESS, FINE), row


class unordered:  # noqa: N801 - reads as a word
    """Equal to any sequence of the same items."""

    def __init__(self, items: Iterator[int]) -> None:
        self.items = sorted(items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and sorted(other) == self.items


def _spec(end: End, run_in: RunIn) -> HandlerSpec:
    async def task() -> object:
        return end()

    def thread() -> object:
        return end()

    return declare("work", task if run_in == "task" else thread, "here", {"run_in": run_in})


@pytest.fixture
def trial(tables: Tables, executions: Executions) -> Trial:
    return Trial(tables, executions)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(ENDS, min_size=1, max_size=5), run_in=st.sampled_from(["task", "thread"]))
@example(ends=[named(name) for name in SMALL], run_in="task")
@example(ends=[named(name) for name in SMALL], run_in="thread")
async def test_every_end_is_recorded_and_changes_no_other(trial: Trial, ends: list[End], run_in: RunIn) -> None:
    await trial.run(ends, run_in)


@settings(max_examples=300, deadline=None)
@given(ENDS)
def test_what_a_child_tells_is_json_and_no_larger_than_what_may_be_stored(end: End) -> None:
    try:
        message = told(end(), None)
    except BaseException as error:
        message = told(None, error)
    assert len(json.dumps(message)) < 2.5 * 1024 * 1024


async def test_an_outcome_that_is_looked_at_without_care_is_noticed(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Attempt, "_looked_at", Attempt._outcome)
    trying = asyncio.create_task(trial.run([named("retry without a delay")], "task"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        # Who ends in its first step (Python 3.12) is looked at there, any other in a callback.
        while "Exception in callback" not in caplog.text and not trying.done():  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.001)
    trying.cancel()
    with pytest.raises((asyncio.CancelledError, AttributeError)):
        await trying


async def test_a_batch_that_is_written_as_one_is_noticed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    async def as_one(write: Callable[[Sequence[Any]], Any], batch: Sequence[Any], *_: object) -> Any:
        return await write(batch)

    monkeypatch.setattr(settle, "_write", as_one)
    monkeypatch.setattr("scheduler.lifecycle.run.clean_text", lambda text: text)
    with pytest.raises(RowRefused):
        await trial.run([named("failure of 10 MB")], "task")
