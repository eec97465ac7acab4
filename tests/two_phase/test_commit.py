"""Several databases, one commit: everything or nothing, whatever goes wrong before the decision or after it."""

import pytest

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, get_connection, savepoint, transactional
from scheduler.database import decisions as names
from scheduler.database.recovery import recover
from scheduler.errors import PartialCommitError, QueryExecutionError, TransactionError
from scheduler.failpoints import FailpointError
from tests.store.tables import Events
from tests.two_phase.conftest import INSERT, NAMES, Place, Run

EVERYWHERE = dict.fromkeys(NAMES, INSERT)
BREAKS_AT_COMMIT = "INSERT INTO effect VALUES (1, 'same'), (2, 'same')"
BEFORE = [
    "before_prepare:books", "after_prepare:books", "before_prepare:business", "after_prepare:business",
    "before_decision", "before_commit:default",
]  # fmt: skip
AFTER = ["after_commit:default", "after_decision", "before_commit_prepared:books", "after_commit_prepared:books",
         "before_commit_prepared:business", "after_commit_prepared:business"]  # fmt: skip


async def settle() -> None:
    """What the resolver would do, twice: first it carries out, then it sees that nothing is left."""
    job = DatabaseRegistry.get("default")
    for _ in range(2):
        await recover(job, [DatabaseRegistry.get("business"), DatabaseRegistry.get("books")])


def arm_raise(name: str) -> None:
    def act() -> None:
        raise FailpointError(name)

    failpoints.arm(name, act)


async def test_all_commit_and_the_decision_is_a_row(place: Place, run: Run) -> None:
    await run(EVERYWHERE)

    assert place.effects() == [[1], [1], [1]]
    assert place.decisions() == [("COMMIT", ["books", "business"])]
    assert place.prepared() == []


async def test_the_others_prepare_by_name_and_the_job_database_decides(place: Place, run: Run) -> None:
    order: list[str] = []
    for name in ("before_prepare:books", "before_prepare:business", "before_commit:default"):
        failpoints.arm(name, lambda name=name: order.append(name.rpartition(":")[2]))  # type: ignore[misc]

    await run(EVERYWHERE, over=("business", "default", "books"))

    assert order == ["books", "business", "default"]


async def test_an_error_of_the_block_leaves_nothing_anywhere(place: Place, run: Run) -> None:
    with pytest.raises(QueryExecutionError):
        await run({"business": INSERT, "books": "SELECT 1 / 0"})

    assert (place.effects(), place.decisions()) == ([[], [], []], [])


async def test_the_job_database_decides_also_where_it_is_not_named(place: Place, run: Run) -> None:
    await run({"business": INSERT, "books": INSERT}, over=("business", "books"))

    assert place.effects() == [[], [1], [1]]
    assert place.decisions() == [("COMMIT", ["books", "business"])]


async def test_where_only_one_has_written_there_is_nothing_to_decide(place: Place, run: Run) -> None:
    await run({"business": INSERT})

    assert (place.effects(), place.decisions()) == ([[], [1], []], [])


@pytest.mark.parametrize("breaking", NAMES)
async def test_one_that_refuses_to_commit_keeps_all_from_it(place: Place, run: Run, breaking: str) -> None:
    with pytest.raises(TransactionError, match=f"'{breaking}' refused to (commit|prepare): duplicate key"):
        await run(EVERYWHERE | {breaking: BREAKS_AT_COMMIT})

    assert (place.effects(), place.prepared()) == ([[], [], []], [])


@pytest.mark.parametrize("failpoint", BEFORE)
async def test_a_fault_before_the_decision_leaves_nothing(place: Place, run: Run, failpoint: str) -> None:
    arm_raise(failpoint)

    with pytest.raises(FailpointError):
        await run(EVERYWHERE)
    assert failpoints.hits[failpoint]
    await settle()

    assert (place.effects(), place.prepared()) == ([[], [], []], [])


@pytest.mark.parametrize("failpoint", AFTER)
async def test_a_fault_after_the_decision_leaves_everything(place: Place, run: Run, failpoint: str) -> None:
    arm_raise(failpoint)

    with pytest.raises(FailpointError):
        await run(EVERYWHERE)
    await settle()

    assert (place.effects(), place.prepared()) == ([[1], [1], [1]], [])
    assert place.run("SELECT settled_at IS NOT NULL FROM job_transactions") == [(True,)]


async def test_a_participant_that_is_lost_after_the_decision_hears_of_it_later(
    place: Place, run: Run, events: Events
) -> None:
    end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'scheduler handler'"

    def lose() -> None:
        assert place.run(end + " AND datname = current_database()", database="books") == [(True,)]

    failpoints.arm("after_decision", lose)

    await run(EVERYWHERE)

    (left,) = place.prepared()
    assert place.effects() == [[1], [1], []]
    assert [(event, values["database"]) for event, values in events] == [("database.left_in_doubt", "books")]
    gid, database, decision = place.run("SELECT gid, database, decision FROM job_in_doubt")[0]
    assert (gid, decision) == (left, "COMMIT")
    assert database in place.urls["books"]
    await settle()
    assert place.effects() == [[1], [1], [1]]


async def test_the_answers_to_prepare_are_read(place: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres answers ROLLBACK, without an error, to PREPARE in a broken transaction."""
    from scheduler.database.participant import Participant

    monkeypatch.setattr(Participant, "check", lambda _: None)

    @transactional(*NAMES)
    async def swallow() -> None:
        await get_connection("default").execute(INSERT)
        await get_connection("business").execute(INSERT)
        with pytest.raises(QueryExecutionError):
            await get_connection("business").execute("SELECT 1 / 0")

    with pytest.raises(TransactionError, match="'business' answered ROLLBACK to PREPARE"):
        await swallow()
    assert place.effects() == [[], [], []]


async def test_one_on_a_best_effort_commits_between_prepare_and_decision(place: Place, run: Run) -> None:
    best = {"url": place.urls["books"], "atomicity": "best_effort"}
    DatabaseRegistry.configure({**place.urls, "books": best})
    await run(EVERYWHERE)
    assert place.effects() == [[1], [1], [1]]
    assert place.decisions() == [("COMMIT", ["business"])]
    place.empty()

    with pytest.raises(PartialCommitError) as failed:
        await run(EVERYWHERE | {"default": BREAKS_AT_COMMIT})
    assert (failed.value.committed, failed.value.failed) == (("books",), ("business", "default"))
    assert place.effects() == [[], [], [1]]


async def test_a_savepoint_undoes_its_part_in_all_databases(place: Place) -> None:
    @transactional(*NAMES)
    async def work() -> None:
        await get_connection("default").execute(INSERT)
        with pytest.raises(QueryExecutionError):
            async with savepoint():
                await get_connection("default").execute("INSERT INTO effect VALUES (2, 'b')")
                await get_connection("business").execute(INSERT)
                await get_connection("books").execute("SELECT 1 / 0")
        async with savepoint("books"):
            await get_connection("books").execute(INSERT)

    await work()

    assert place.effects() == [[1], [], [1]]
    assert place.decisions() == [("COMMIT", ["books"])]


async def test_enqueueing_is_part_of_it(place: Place, run: Run) -> None:
    enqueue = "SELECT enqueue_job('email')"
    with pytest.raises(TransactionError):
        await run({"default": enqueue, "business": BREAKS_AT_COMMIT})
    assert place.run("SELECT count(*) FROM job_executions") == [(0,)]

    await run({"default": enqueue, "business": INSERT})

    assert place.run("SELECT handler_name FROM job_executions") == [("email",)]
    place.run("TRUNCATE job_executions")


def test_names_of_transactions_follow_each_other() -> None:
    first, second = names.gid_at("i", 1_700_000_000.001), names.gid_at("i", 1_700_000_000.002)
    assert first < names.gid_at("i", 1_700_000_000.001, chance=1 << 70 | 5) < second
    assert names.whole(names.part(first, 12)) == first
    assert first.startswith(names.prefix("i"))
    assert len(names.part(names.new_gid("0" * 36), 99)) < 200
