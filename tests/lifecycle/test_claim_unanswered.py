"""Claims whose answer never came: what they took is found again, and nothing is claimed before that is known."""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest

from scheduler.failpoints import FailpointError
from scheduler.lifecycle.claim import Claimer
from scheduler.store.executions import Executions
from scheduler.store.session import Session
from tests.store.tables import Tables

Arm = Callable[[str, Callable[[], None]], None]


class Cut:
    """Loses the connection once at a statement: before it reaches the server, or before its answer comes back."""

    def __init__(self, session: Session, name: str, *, after: bool) -> None:
        self.session, self.name, self.after = session, name, after
        self.happened = 0
        self._run = session.run

    async def run(self, name: str, values: Mapping[str, Any], *, binary: bool = False) -> list[tuple[Any, ...]]:
        if name != self.name or self.happened:
            return await self._run(name, values, binary=binary)
        self.happened += 1
        if self.after:
            await self._run(name, values, binary=binary)
        await self.session.close()
        raise psycopg.OperationalError("the connection is lost")


@pytest.fixture
def claimer(tables: Tables, executions: Executions) -> Claimer:
    return Claimer(executions, tables.worker(), ("default",), "{}")


async def test_what_was_taken_is_found_by_its_token(
    tables: Tables, session: Session, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {tables.enqueue(), tables.enqueue()}
    cut = Cut(session, "claim", after=True)
    monkeypatch.setattr(session, "run", cut.run)
    with pytest.raises(psycopg.OperationalError):
        await claimer.claim(10)
    assert cut.happened == len(claimer.tokens) == 1
    tables.enqueue()
    found = await claimer.claim(10)  # the third row waits until it is known what the first claim took
    assert {claim.id for claim in found} == ids
    assert [tables.execution(id_)["attempt"] for id_ in ids] == [1, 1]
    assert claimer.tokens == set()
    assert len(await claimer.claim(10)) == 1


async def test_a_claim_that_never_arrived_took_nothing(
    tables: Tables, session: Session, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = tables.enqueue()
    monkeypatch.setattr(session, "run", Cut(session, "claim", after=False).run)
    with pytest.raises(psycopg.OperationalError):
        await claimer.claim(10)
    assert await claimer.claim(10) == []
    assert tables.execution(id_)["attempt"] == 0
    assert [claim.id for claim in await claimer.claim(10)] == [id_]


async def test_it_is_asked_again_until_the_database_answers(
    tables: Tables, session: Session, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = tables.enqueue()
    monkeypatch.setattr(session, "run", Cut(session, "claim", after=True).run)
    with pytest.raises(psycopg.OperationalError):
        await claimer.claim(10)
    monkeypatch.setattr(session, "run", Cut(session, "find_claimed", after=True).run)
    with pytest.raises(psycopg.OperationalError):
        await claimer.claim(10)
    assert [claim.id for claim in await claimer.claim(10)] == [id_]


async def test_a_keyed_claim_is_not_forgotten_over_the_loss_of_the_next(
    tables: Tables, session: Session, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {tables.enqueue(concurrency_key="k"), tables.enqueue()}
    assert await claimer.claim(0) == []  # from now on keyed rows are claimed first
    claimer.look_at_keys()
    monkeypatch.setattr(session, "run", Cut(session, "claim", after=True).run)
    with pytest.raises(psycopg.OperationalError):
        await claimer.claim(10)
    assert {claim.id for claim in await claimer.claim(10)} == ids


async def test_a_keyed_claim_without_an_answer_is_found_too(tables: Tables, claimer: Claimer, armed: Arm) -> None:
    answers = iter(["of the claim without keys, which takes nothing"])

    def lose() -> None:
        if next(answers, None) is None:
            raise FailpointError

    id_ = tables.enqueue(concurrency_key="k")
    armed("after_claim_commit", lose)
    with pytest.raises(FailpointError):
        await claimer.claim(10)
    assert tables.execution(id_)["status"] == "RUNNING"
    assert [claim.id for claim in await claimer.claim(10)] == [id_]


async def test_what_the_rescuer_returned_meanwhile_is_not_ours(
    tables: Tables, session: Session, claimer: Claimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.enqueue()
    monkeypatch.setattr(session, "run", Cut(session, "claim", after=True).run)
    with pytest.raises(psycopg.OperationalError):
        await claimer.claim(10)
    tables.execute("UPDATE job_workers SET status = 'LOST'")
    assert len(await Executions(session).rescue(10)) == 1
    assert await claimer.claim(10) == []
