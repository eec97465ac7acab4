"""Several databases on a best effort: the order, and what a failure in between leaves."""

import pytest

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, get_connection, transactional
from scheduler.errors import PartialCommitError, TransactionError
from tests.database.conftest import Events, Run, Server

BOTH = ("default", "business")
INSERT = "INSERT INTO item VALUES (1, 'a')"
BREAKS_AT_COMMIT = "INSERT INTO item VALUES (1, 'same'), (2, 'same')"


async def test_both_commit_with_the_default_one_last(databases: Server) -> None:
    order: list[str] = []
    failpoints.arm("after_commit:default", lambda: order.append("default"))
    failpoints.arm("after_commit:business", lambda: order.append("business"))

    @transactional(DatabaseRegistry.get("default"), DatabaseRegistry.get("business"))
    async def sync_data() -> None:
        await get_connection("default").execute(INSERT)
        await get_connection("business").execute(INSERT)

    await sync_data()

    assert order == ["business", "default"]
    assert (databases.items(), databases.items("business")) == (["a"], ["a"])


@pytest.mark.parametrize("over", [BOTH, BOTH[::-1]])
async def test_among_best_effort_ones_too_the_default_one_is_last(
    databases: Server, run: Run, over: tuple[str, ...]
) -> None:
    order: list[str] = []
    failpoints.arm("before_commit:default", lambda: order.append("default"))
    failpoints.arm("before_commit:business", lambda: order.append("business"))
    DatabaseRegistry.configure({n: {"url": u, "atomicity": "best_effort"} for n, u in databases.urls.items()})

    await run(INSERT, ("business", INSERT), over=over)

    assert order == ["business", "default"]


async def test_an_error_rolls_back_both(databases: Server, run: Run) -> None:
    with pytest.raises(Exception, match="division by zero"):
        await run(INSERT, ("business", INSERT), "SELECT 1 / 0", over=BOTH)

    assert (databases.items(), databases.items("business")) == ([], [])


async def test_without_the_tables_of_the_scheduler_nothing_can_be_decided(
    databases: Server, run: Run, events: Events
) -> None:
    DatabaseRegistry.configure(databases.urls)

    with pytest.raises(TransactionError, match=r"'default' can't hold the decision .* Run `scheduler migrate`"):
        await run(INSERT, over=BOTH)

    assert [event for event, _ in events] == ["database.transaction_failed"]


async def test_without_a_job_database_neither(databases: Server, run: Run) -> None:
    DatabaseRegistry.configure(databases.urls, job="jobs")

    with pytest.raises(TransactionError, match=r"none is configured: .*DatabaseRegistry\.configure\(…, job=…\)"):
        await run(INSERT, over=BOTH)


async def test_naming_a_database_twice_is_naming_it_once(databases: Server, run: Run) -> None:
    await run(INSERT, over=("default", "default"))

    assert databases.items() == ["a"]


async def test_a_failure_in_between_names_what_committed_and_what_did_not(
    databases: Server, run: Run, events: Events
) -> None:
    with pytest.raises(PartialCommitError, match="Committed in business, failed in default") as failed:
        await run(BREAKS_AT_COMMIT, ("business", INSERT), over=BOTH)

    assert (failed.value.committed, failed.value.failed) == (("business",), ("default",))
    assert str(failed.value).endswith(str(failed.value.__cause__).splitlines()[0])
    assert "refused to commit: duplicate key" in str(failed.value).splitlines()[-1]
    assert (databases.items(), databases.items("business")) == ([], ["a"])
    assert [event for event, _ in events] == ["database.transaction_failed"]


async def test_a_failure_of_the_first_leaves_all_as_it_was(databases: Server, run: Run) -> None:
    with pytest.raises(TransactionError, match="'business' refused to commit") as failed:
        await run(INSERT, ("business", BREAKS_AT_COMMIT), over=BOTH)

    assert not isinstance(failed.value, PartialCommitError)
    assert (databases.items(), databases.items("business")) == ([], [])


async def test_a_broken_database_is_seen_before_any_commits(databases: Server, run: Run) -> None:
    with pytest.raises(TransactionError, match="'default' can't commit") as failed:
        await run(("business", INSERT), "SELECT 1 / 0", over=BOTH, swallow=True)

    assert not isinstance(failed.value, PartialCommitError)
    assert databases.items("business") == []


async def test_one_that_cannot_be_opened_gives_the_others_back(databases: Server, run: Run) -> None:
    small = {"url": databases.urls["default"], "atomicity": "best_effort", "pool_size": 1, "pool_timeout_seconds": 0.2}
    DatabaseRegistry.configure({"a": small, "b": "postgresql:///db?host=/nowhere"})

    for _ in range(2):
        with pytest.raises(TransactionError, match="'b' can't be reached"):
            await run(over=("a", "b"))

    await run(("a", "SELECT 1"), over=("a",))
