"""The rules are written in Python and, for workers in other languages and for the rescuer, in SQL: they agree."""

from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from scheduler.lifecycle.settle import Settled, Settler
from scheduler.model import Backoff, Claim, Outcome, OutcomeKind, Status, Transition
from scheduler.rules.outcome import decide
from scheduler.rules.retry import delay_seconds
from scheduler.store.executions import Executions
from tests.store.tables import Tables, claim, failure

COUNTS = (0, 1, 2, 5, 2**31 - 2)
LIMITS = (0, 1, 2, 3, 6, 2**31 - 1)


class Case(NamedTuple):
    claim: Claim
    cancelled: bool


def running_cases(tables: Tables, worker: UUID | None = None) -> list[Case]:
    """A running row for each combination of what decides about a failed try."""
    cases = []
    for count, limit, backoff, cancelled in product(COUNTS, LIMITS, Backoff, (False, True)):
        id_, token = tables.running(
            worker,
            retry_count=count,
            max_retry=limit,
            retry_backoff=backoff.value,
            cancel_requested_at=tables.now() if cancelled else None,
            cancel_reason="stop it" if cancelled else None,
        )
        row = claim(id=id_, token=token, retry_count=count, max_retry=limit, retry_backoff=backoff.value)
        cases.append(Case(row, cancelled))
    return cases


def expected(case: Case, kind: OutcomeKind) -> Transition:
    return decide(case.claim, Outcome(kind, error="it broke"), chance=0.5)


def check(tables: Tables, case: Case, decision: Transition, *, error: str) -> None:
    """The row says what was decided, but that a cancel wins over it."""
    row = tables.execution(case.claim.id)
    status = Status.CANCELLED if case.cancelled else decision.status
    assert row["status"] == status, case
    assert row["retry_count"] == decision.retry_count, case
    assert row["suspect"] is decision.suspect, case
    assert row["error"] == ("stop it" if case.cancelled else error), case
    assert [entry["error"] for entry in row["errors"]] == [error], case
    returned = status is Status.PENDING
    assert (row["claim_token"], row["claimed_by"], row["finished_at"]) == (None, None, None) or not returned, case
    assert returned or (row["claim_token"] == case.claim.token and row["finished_at"] is not None), case
    if returned:
        wait = (row["available_at"] - tables.now()).total_seconds()
        assert decision.delay * 0.9 - 30 <= wait <= decision.delay * 1.1, case


def test_fail_job_decides_as_the_worker_does(tables: Tables) -> None:
    cases = running_cases(tables)
    for case in cases:
        told = tables.value("SELECT fail_job(%s, %s, 'it broke')", case.claim.id, case.claim.token)
        assert told == tables.execution(case.claim.id)["status"]
        check(tables, case, expected(case, OutcomeKind.FAILURE), error="it broke")


@pytest.mark.parametrize("kind", [OutcomeKind.FAILURE, OutcomeKind.TIMEOUT])
async def test_settle_writes_what_was_decided(tables: Tables, executions: Executions, kind: OutcomeKind) -> None:
    cases = running_cases(tables)
    heard: list[Settled] = []
    settler = Settler(executions, heard.extend)
    for case in cases:
        settler.put(case.claim, Outcome(kind, error="it broke"))
    await settler.flush()
    for case, settled in zip(cases, heard, strict=True):
        check(tables, case, expected(case, kind), error="it broke")
        assert settled.status == tables.execution(case.claim.id)["status"]


async def test_the_rescuer_decides_as_the_worker_does(tables: Tables, executions: Executions) -> None:
    cases = running_cases(tables, tables.worker(status="LOST"))
    told = dict(await executions.rescue(len(cases)))
    for case in cases:
        check(tables, case, expected(case, OutcomeKind.LOST), error="worker lost, may not have started")
        assert told[case.claim.id] == tables.execution(case.claim.id)["status"]


def test_job_retry_delay_is_delay_seconds(tables: Tables) -> None:
    for backoff, unit, failures in product(Backoff, (0.0, 0.5, 2.0, 86_400.0), (1, 2, 3, 17, 18, 41, 42, 2**31 - 1)):
        asked = "SELECT job_retry_delay(%s, %s, %s)"
        told = tables.value(asked, backoff.value, unit, failures)
        assert told == pytest.approx(delay_seconds(backoff, unit, failures)), (backoff, unit, failures)


NOT_SUCCESS = (
    failure(permanent=True),
    Outcome(OutcomeKind.TIMEOUT),
    Outcome(OutcomeKind.SNOOZED, delay=60.0),
    Outcome(OutcomeKind.HANDED_BACK),
    Outcome(OutcomeKind.CANCELLED, error="not needed"),
)


@pytest.mark.parametrize("outcome", NOT_SUCCESS, ids=lambda outcome: outcome.kind.value)
async def test_a_cancel_asked_for_meanwhile_wins_over_all_but_success(
    tables: Tables, executions: Executions, outcome: Outcome
) -> None:
    id_, token = tables.running()
    assert tables.value("SELECT cancel_job(%s, 'enough')", id_) == "RUNNING"
    row = await settled(executions, claim(id=id_, token=token), outcome, tables)
    assert (row["status"], row["error"]) == ("CANCELLED", "enough")
    assert row["finished_at"] is not None


async def test_success_wins_over_a_cancel(tables: Tables, executions: Executions) -> None:
    id_, token = tables.running()
    tables.execute("SELECT cancel_job(%s, 'enough')", id_)
    row = await settled(executions, claim(id=id_, token=token), Outcome(OutcomeKind.SUCCESS, result="1"), tables)
    assert (row["status"], row["result"], row["error"]) == ("SUCCESS", 1, None)


async def settled(executions: Executions, row: Claim, outcome: Outcome, tables: Tables) -> dict[str, Any]:
    settler = Settler(executions, lambda _: None)
    settler.put(row, outcome)
    await settler.flush()
    return tables.execution(row.id)
