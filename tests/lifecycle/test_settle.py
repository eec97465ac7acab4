"""settle: one fenced write for each outcome, whatever happens to the connection and whatever is in it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from scheduler.lifecycle import settle as settle_module
from scheduler.lifecycle.settle import Settled, Settler
from scheduler.model import Claim, Outcome, OutcomeKind, Status
from scheduler.store.executions import Executions
from scheduler.store.session import Session
from tests.store.tables import Tables, claim, failure, success

LONE_SURROGATE = '"\\ud800"'


class Heard(list[Settled]):
    def statuses(self) -> list[Status | None]:
        return [settled.status for settled in self]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def settler(executions: Executions, heard: Heard) -> Settler:
    return Settler(executions, heard.extend)


def claimed(tables: Tables, **columns: Any) -> Claim:
    """A running row, and the claim that holds it."""
    id_, token = tables.running(**columns)
    row = tables.execution(id_)
    held = {name: row[name] for name in ("attempt", "retry_count", "max_retry", "retry_backoff", "retry_delay_seconds")}
    return claim(id=id_, token=token, **held)


async def test_it_names_what_is_done_and_not_recorded_yet(tables: Tables, settler: Settler) -> None:
    won, lost, returned = claimed(tables), claimed(tables), claimed(tables)
    settler.put(won, success())
    settler.put(lost, failure("ValueError: no"))
    settler.put(returned, Outcome(OutcomeKind.HANDED_BACK))
    assert settler.decided() == {(won.id, won.token), (lost.id, lost.token)}
    await settler.flush()
    assert settler.decided() == frozenset()


async def test_an_outcome_becomes_a_row(tables: Tables, settler: Settler, heard: Heard) -> None:
    won, lost = claimed(tables), claimed(tables, max_retry=1)
    settler.put(won, success('{"sent": true}'))
    settler.put(lost, failure("ValueError: no", traceback="Traceback …", seconds=0.25))
    assert len(settler) == 2
    await settler.flush()
    await settler.drained()
    assert heard.statuses() == [Status.SUCCESS, Status.FAILED]
    row = tables.execution(won.id)
    assert (row["status"], row["result"], row["error"], row["errors"]) == ("SUCCESS", {"sent": True}, None, [])
    assert (row["claim_token"], row["finished_at"] is None) == (won.token, False)
    row = tables.execution(lost.id)
    (entry,) = row["errors"]
    assert (row["status"], row["error"], row["retry_count"]) == ("FAILED", "ValueError: no", 1)
    assert entry.items() >= {"attempt": 1, "outcome": "failure", "seconds": 0.25, "traceback": "Traceback …"}.items()
    assert entry["worker"] == str(row["claimed_by"])


async def test_after_few_outcomes_the_next_one_waits_for_no_other(
    settler: Settler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_module, "GATHER_SECONDS", 3600.0)
    settler.put(claim(id=1), success())
    await settler.flush()
    settler.put(claim(id=2), success())
    await settler.wanted()


async def test_after_many_outcomes_a_flush_gathers_until_there_are_enough(
    settler: Settler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_module, "GATHER_SECONDS", 3600.0)
    for id_ in range(settle_module.BUSY):
        settler.put(claim(id=id_), success())
    await settler.flush()
    settler.put(claim(id=0), success())
    wanted = asyncio.ensure_future(settler.wanted())
    await turns_of_the_loop()
    assert not wanted.done()
    for id_ in range(1, settle_module.ENOUGH):
        settler.put(claim(id=id_), success())
    await wanted


async def test_nor_does_it_gather_for_ever(settler: Settler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle_module, "GATHER_SECONDS", 0.0)
    for id_ in range(settle_module.BUSY):
        settler.put(claim(id=id_), success())
    await settler.flush()
    settler.put(claim(id=0), success())
    await settler.wanted()


async def turns_of_the_loop() -> None:
    """Long enough for anything that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_waiting_is_nothing_written(settler: Settler, heard: Heard) -> None:
    await settler.flush()
    assert heard == []


async def test_started_at_tells_when_the_handler_began(tables: Tables, settler: Settler) -> None:
    rows = [claimed(tables, started_at="2020-01-01") for _ in range(2)]
    settler.put(rows[0], success(seconds=12.5))
    settler.put(rows[1], failure(permanent=True, seconds=12.5))
    await settler.flush()
    for row in [tables.execution(row.id) for row in rows]:
        assert row["finished_at"] - row["started_at"] == pytest.approx(timedelta(seconds=12.5), abs=timedelta(0.001))


@pytest.mark.parametrize("outcome", [success("1"), failure(), Outcome(OutcomeKind.HANDED_BACK)],
                         ids=lambda outcome: outcome.kind.value)  # fmt: skip
@pytest.mark.parametrize("change", [
    "claim_token = gen_random_uuid()",
    "status = 'PENDING', claim_token = NULL, claimed_by = NULL, attempt = 2",
    "status = 'SUCCESS', finished_at = job_now(), claim_token = gen_random_uuid()",
    "status = 'FAILED', finished_at = job_now(), error = 'by hand', claim_token = gen_random_uuid()",
])  # fmt: skip
async def test_the_fence_refuses_what_is_no_longer_ours(
    tables: Tables, settler: Settler, heard: Heard, outcome: Outcome, change: str
) -> None:
    row = claimed(tables)
    tables.connection.execute(f"UPDATE job_executions SET {change}".encode())
    before = tables.execution(row.id)
    settler.put(row, outcome)
    await settler.flush()
    assert heard.statuses() == [None]
    assert tables.execution(row.id) == before


async def test_a_row_that_is_gone_is_not_ours(tables: Tables, settler: Settler, heard: Heard) -> None:
    row = claimed(tables)
    tables.execute("DELETE FROM job_executions")
    settler.put(row, success())
    await settler.flush()
    assert heard.statuses() == [None]


async def test_a_rescued_row_takes_no_outcome_of_the_attempt_that_was_given_up(
    tables: Tables, executions: Executions, settler: Settler, heard: Heard
) -> None:
    row = claimed(tables, claimed_by=tables.worker(status="LOST"))
    assert await executions.rescue(10) == [(row.id, Status.PENDING)]
    settler.put(row, success("1"))
    await settler.flush()
    assert heard.statuses() == [None]
    assert tables.execution(row.id)["result"] is None


async def test_two_attempts_of_one_execution_are_told_apart(tables: Tables, settler: Settler, heard: Heard) -> None:
    mine = claimed(tables)
    given_up = mine._replace(token=uuid4())
    settler.put(given_up, success('"old"'))
    settler.put(mine, success('"new"'))
    await settler.flush()
    assert heard.statuses() == [None, Status.SUCCESS]
    assert tables.execution(mine.id)["result"] == "new"


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_a_row_that_the_database_refuses_is_stored_poorer_and_holds_up_no_other(
    tables: Tables, settler: Settler, heard: Heard, size: int
) -> None:
    rows = [claimed(tables) for _ in range(size)]
    for place, row in enumerate(rows):
        settler.put(row, success(LONE_SURROGATE if place == size // 2 else '"fine"'))
    await settler.flush()
    assert heard.statuses() == [Status.SUCCESS] * size
    results = [tables.execution(row.id)["result"] for row in rows]
    assert results.pop(size // 2) == "The result could not be stored: the database refused it."
    assert results == ["fine"] * (size - 1)


async def test_an_error_that_the_database_refuses_is_still_a_failed_try(
    tables: Tables, settler: Settler, heard: Heard
) -> None:
    rows = [claimed(tables) for _ in range(3)]
    for row, error in zip(rows, ("a", "b\0", "c\ud800"), strict=True):
        settler.put(row, failure(error))
    await settler.flush()
    assert heard.statuses() == [Status.PENDING] * 3
    refused = "The error could not be stored: the database refused its text."
    found = [tables.execution(row.id) for row in rows]
    assert [row["error"] for row in found] == ["a", refused, refused]
    assert [row["retry_count"] for row in found] == [1, 1, 1]
    assert [entry["error"] for row in found for entry in row["errors"]] == ["a", refused, refused]


async def test_a_row_refused_in_every_form_waits_and_holds_up_no_other(
    tables: Tables, settler: Settler, heard: Heard
) -> None:
    rows = [claimed(tables) for _ in range(5)]
    tables.execute("""CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS
                      $$ BEGIN RAISE check_violation USING MESSAGE = 'vetoed'; END $$""")
    veto = "CREATE TRIGGER veto BEFORE UPDATE ON job_executions FOR EACH ROW WHEN (OLD.id = {}) EXECUTE FUNCTION veto()"
    tables.connection.execute(veto.format(rows[2].id).encode())
    for row in rows:
        settler.put(row, success())
    with pytest.raises(psycopg.IntegrityError, match="vetoed"):
        await settler.flush()
    assert [settled.claim for settled in heard] == [*rows[:2], *rows[3:]]
    assert len(settler) == 1
    tables.execute("DROP TRIGGER veto ON job_executions")
    await settler.flush()
    assert heard.statuses() == [Status.SUCCESS] * 5


class LostAnswer:
    """Loses the answer to a settle statement that was carried out, once for each."""

    def __init__(self, session: Session) -> None:
        self.session, self.happened = session, list[str]()
        self._run = session.run

    async def run(self, name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        rows = await self._run(name, values)
        if name.startswith("settle") and name not in self.happened:
            self.happened.append(name)
            await self.session.close()
            raise psycopg.OperationalError("the connection is lost")
        return rows


async def test_the_same_flush_again_recognises_what_it_wrote(
    tables: Tables, session: Session, settler: Settler, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = LostAnswer(session)
    monkeypatch.setattr(session, "run", lost.run)
    outcomes = [
        success("1"), failure(), failure(permanent=True), Outcome(OutcomeKind.SNOOZED, delay=5.0),
        Outcome(OutcomeKind.HANDED_BACK), Outcome(OutcomeKind.TIMEOUT), Outcome(OutcomeKind.CANCELLED, error="no"),
    ]  # fmt: skip
    rows = [claimed(tables) for _ in outcomes]
    for row, outcome in zip(rows, outcomes, strict=True):
        settler.put(row, outcome)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            await settler.flush()
        assert (len(settler), heard) == (len(rows), [])
    await settler.flush()
    assert lost.happened == ["settle_success", "settle_other"]
    pending = Status.PENDING
    wanted = [Status.SUCCESS, pending, Status.FAILED, pending, pending, pending, Status.CANCELLED]
    assert heard.statuses() == wanted == [tables.execution(row.id)["status"] for row in rows]
    assert [tables.execution(row.id)["retry_count"] for row in rows] == [0, 1, 1, 0, 0, 1, 0]
    assert [len(tables.execution(row.id)["errors"]) for row in rows] == [0, 1, 1, 0, 0, 1, 1]


async def test_an_outcome_put_meanwhile_waits_for_the_next_flush(
    tables: Tables, session: Session, settler: Settler, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = claimed(tables), claimed(tables)
    run = session.run

    async def put_another(name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if not heard and len(settler) == 1:
            settler.put(second, success("2"))
        return await run(name, values)

    monkeypatch.setattr(session, "run", put_another)
    settler.put(first, success("1"))
    await settler.flush()
    assert [settled.claim.id for settled in heard] == [first.id]
    await settler.wanted()
    await settler.flush()
    assert [settled.claim.id for settled in heard] == [first.id, second.id]


async def test_the_first_and_the_last_19_errors_are_kept(tables: Tables, settler: Settler) -> None:
    id_, _ = tables.running(max_retry=100)
    for attempt in range(1, 26):
        token = rerun(tables, id_, attempt)
        settler.put(claim(id=id_, token=token, attempt=attempt, max_retry=100), failure(f"error {attempt}"))
        await settler.flush()
    kept = [entry["attempt"] for entry in tables.execution(id_)["errors"]]
    assert kept == [1, *range(7, 26)]


def rerun(tables: Tables, id_: int, attempt: int) -> UUID:
    token = uuid4()
    tables.execute(
        """UPDATE job_executions SET status = 'RUNNING', claimed_by = gen_random_uuid(), claim_token = %s,
                  started_at = job_now(), attempt = %s WHERE id = %s""",
        token,
        attempt,
        id_,
    )
    return token


@pytest.mark.parametrize("outcome", [
    failure(delay=0.0), Outcome(OutcomeKind.SNOOZED, delay=0.0), Outcome(OutcomeKind.HANDED_BACK), failure(delay=60.0),
], ids=lambda outcome: f"{outcome.kind.value}, {outcome.delay}")  # fmt: skip
async def test_every_return_counts_from_now_and_clears_the_claim(
    tables: Tables, settler: Settler, outcome: Outcome
) -> None:
    row = claimed(tables, available_at="2020-01-01")
    before = tables.now()
    settler.put(row, outcome)
    await settler.flush()
    found = tables.execution(row.id)
    assert (found["status"], found["claim_token"], found["claimed_by"]) == ("PENDING", None, None)
    assert found["available_at"] >= before + timedelta(seconds=outcome.delay or 0.0)


async def test_a_return_never_comes_before_what_a_hand_has_put_off(tables: Tables, settler: Settler) -> None:
    row = claimed(tables, available_at="2999-01-01")
    settler.put(row, failure())
    await settler.flush()
    assert tables.execution(row.id)["available_at"].year == 2999
