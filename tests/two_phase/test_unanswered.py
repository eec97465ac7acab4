"""Answers that never come: whether it was done is read, never guessed, and the caller is told the truth."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from scheduler.database import DatabaseRegistry, get_connection, recovery, transactional
from scheduler.database import two_phase as two_phase_module
from scheduler.errors import TransactionError
from scheduler.testing.fault_proxy import Fault, FaultProxy
from tests.two_phase.conftest import Place

TIMES = 100 if os.environ.get("SCHEDULER_TEST_LONG") else 3
WORDS = "INSERT INTO effect VALUES ("
COMMIT = "\x0bCOMMIT\x00"
"""As a message of its own; the decision's INSERT has the word too."""
SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'scheduler handler'
"""
TWO = ("default", "business")

Proxies = dict[str, FaultProxy]


@pytest.fixture
async def proxies(place: Place) -> AsyncIterator[Proxies]:
    """One in front of each database."""
    with ExitStack() as stack:
        found = {name: stack.enter_context(FaultProxy(url)) for name, url in place.urls.items()}
        DatabaseRegistry.configure({name: {"url": proxy.url, "pool_size": 1} for name, proxy in found.items()})
        yield found
        await DatabaseRegistry.dispose()


def arm(proxy: FaultProxy, kind: str, word: str) -> Fault:
    return proxy.drop_reply(WORDS, word) if kind == "reply dropped" else proxy.cut_before(WORDS, word)


async def work(number: int, form: str, over: tuple[str, ...]) -> str | None:
    """What the caller is told; None: that it was done."""
    statement, values = f"{WORDS}:id)", {"id": number}
    try:
        if form == "async":
            async with transactional(*over):
                for name in over:
                    await get_connection(name).execute(statement, values)
        else:
            with transactional(*over):
                for name in over:
                    get_connection(name).execute(statement, values)
    except TransactionError as error:
        return str(error)
    return None


async def settle(place: Place) -> None:
    DatabaseRegistry.configure(place.urls)
    for _ in range(2):
        report = await recovery.recover(DatabaseRegistry.get("default"), [DatabaseRegistry.get("business")])
        assert report.failed == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", ["async", "sync"])
@pytest.mark.parametrize("over", [("default",), TWO], ids=["one", "two"])
@pytest.mark.parametrize(("kind", "was_done"), [("reply dropped", True), ("cut before", False)])
async def test_what_became_of_the_commit_is_read(
    place: Place, proxies: Proxies, form: str, over: tuple[str, ...], kind: str, was_done: bool
) -> None:
    for number in range(TIMES):
        fault = arm(proxies["default"], kind, COMMIT)
        said = await work(number, form, over)
        assert fault.struck.is_set()
        assert said is None if was_done else "It was not committed." in str(said)

    await settle(place)
    expected = list(range(TIMES)) if was_done else []
    assert place.effects()[: len(over)] == [expected] * len(over)


@pytest.mark.parametrize("form", ["async", "sync"])
@pytest.mark.parametrize(
    ("word", "kind", "was_done"),
    [
        ("PREPARE TRANSACTION", "reply dropped", False),
        ("PREPARE TRANSACTION", "cut before", False),
        ("COMMIT PREPARED", "reply dropped", True),
        ("COMMIT PREPARED", "cut before", True),
    ],
)
async def test_a_participant_that_falls_silent_follows_the_decision(
    place: Place, proxies: Proxies, form: str, word: str, kind: str, was_done: bool
) -> None:
    fault = arm(proxies["business"], kind, word)

    said = await work(1, form, TWO)

    assert fault.struck.is_set()
    assert said is None if was_done else "was lost before it could prepare" in str(said)
    await settle(place)
    assert place.effects()[:2] == ([[1], [1]] if was_done else [[], []])


@pytest.mark.parametrize("form", ["async", "sync"])
async def test_a_participant_that_freezes_is_given_up(
    place: Place, proxies: Proxies, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_phase_module, "DECIDE_SECONDS", 0.3)
    fault = proxies["business"].freeze_before(WORDS, "PREPARE TRANSACTION")

    said = await work(1, form, TWO)

    assert fault.struck.is_set()
    assert "was lost before it could prepare" in str(said)
    proxies["business"].thaw()
    await DatabaseRegistry.dispose()
    while place.run(SESSIONS, database="business") != [(0,)]:  # noqa: ASYNC110 - the server's sessions have no event
        await asyncio.sleep(0.01)
    await settle(place)
    assert place.effects()[:2] == [[], []]


async def test_a_coordinator_that_believes_its_driver_is_noticed(
    place: Place, proxies: Proxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes a lost answer for a failure, and rolls back what it has prepared."""

    def believe(self: two_phase_module.TwoPhaseCommit, reread: object, unknown: TransactionError) -> None:
        raise TransactionError(str(unknown))

    monkeypatch.setattr(two_phase_module.TwoPhaseCommit, "_read_decision", believe)
    fault = arm(proxies["default"], "reply dropped", COMMIT)

    assert await work(1, "async", TWO) is not None

    assert fault.struck.is_set()
    await settle(place)
    assert place.effects()[:2] == [[1], []]
