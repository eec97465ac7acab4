"""What `execute` takes and gives, and how a failing statement is told."""

import psycopg
import pytest
from sqlalchemy import column, insert, literal, select, table

from scheduler.database import AsyncConnection, Connection, DatabaseRegistry, get_connection, transactional
from scheduler.errors import QueryExecutionError
from tests.database.conftest import Events, Server

item = table("item", column("id"), column("name"))


@transactional()
async def test_text_with_named_parameters(databases: Server) -> None:
    connection: AsyncConnection = get_connection()

    result = await connection.execute(
        "INSERT INTO item VALUES (:id, :name), (2, '100 % \\:id'::text) RETURNING id, name", {"id": 1, "name": "a"}
    )

    assert result.all() == [{"id": 1, "name": "a"}, {"id": 2, "name": "100 % :id"}]
    assert [row["id"] for row in result] == [1, 2]
    assert (result.rowcount, len(result), result.first(), result.scalar()) == (2, 2, {"id": 1, "name": "a"}, 1)
    assert result.scalars() == [1, 2]


@transactional()
async def test_text_without_parameters_goes_to_the_server_as_it_is(databases: Server) -> None:
    shown = await get_connection().execute("""SELECT '{"a":1, "b":":x"}'::jsonb AS doc, '50 %' AS share""")

    assert shown.one() == {"doc": {"a": 1, "b": ":x"}, "share": "50 %"}


@transactional()
def test_sqlalchemy_statements(databases: Server) -> None:
    connection: Connection = get_connection()

    assert connection.execute(insert(item).values(id=1, name="a")).rowcount == 1
    assert connection.execute(insert(item), {"id": 2, "name": "b"}).rowcount == 1
    assert connection.execute(select(item.c.name).where(item.c.id == 2)).one() == {"name": "b"}
    assert connection.execute(select(literal(1), literal(2))).scalar() == 1


@transactional()
async def test_row_counts_and_empty_results(databases: Server) -> None:
    connection: AsyncConnection = get_connection()
    await connection.execute("INSERT INTO item VALUES (1, 'a'), (2, 'b')")

    assert (await connection.execute("UPDATE item SET name = name || '!' WHERE id > :id", {"id": 0})).rowcount == 2
    nothing = await connection.execute("SELECT * FROM item WHERE id = 9")
    assert (nothing.all(), nothing.first(), nothing.scalar(), nothing.scalars()) == ([], None, None, [])
    with pytest.raises(QueryExecutionError, match="Exactly one row was expected, the statement returned 0"):
        nothing.one()


async def test_a_failing_statement_is_told_without_its_values(databases: Server, events: Events) -> None:
    with pytest.raises(QueryExecutionError) as failed:
        async with transactional():
            await get_connection().execute(
                "INSERT INTO  item\n VALUES (:id, :name), (:id, 'b')", {"id": 4711, "name": "s3cret"}
            )

    assert str(failed.value) == (
        "Database 'default': duplicate key value violates unique constraint \"item_pkey\" "
        "(in: INSERT INTO item VALUES (:id, :name), (:id, 'b'))"
    )
    assert isinstance(failed.value.__cause__, psycopg.errors.UniqueViolation)
    ((event, values),) = events
    assert event == "database.query_failed"
    assert values["database"] == "default"
    assert "s3cret" not in f"{values}{failed.value}"
    assert databases.items() == []


def test_a_missing_parameter_is_named_and_breaks_nothing(databases: Server) -> None:
    with transactional():
        connection = get_connection()
        with pytest.raises(QueryExecutionError, match="bind parameter 'name'") as failed:
            connection.execute("INSERT INTO item VALUES (1, :name)", {"nmae": "s3cret"})
        connection.execute("INSERT INTO item VALUES (1, :name)", {"name": "a"})

    assert "s3cret" not in f"{failed.value} {failed.value.__cause__}"
    assert databases.items() == ["a"]


def test_a_long_statement_is_cut(databases: Server) -> None:
    with pytest.raises(QueryExecutionError) as failed, transactional():
        get_connection().execute("SELECT nothing" + " + 1" * 1000)

    assert len(str(failed.value)) < 300
    assert str(failed.value).endswith("…)")


async def test_the_transaction_is_read_committed_whatever_the_database_says(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as outside:
        outside.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', "
            "current_database()); END $$"
        )
    with psycopg.connect(database_url) as outside:
        assert outside.execute("SHOW transaction_isolation").fetchone() == ("serializable",)
    DatabaseRegistry.configure({"default": database_url})

    async with transactional():
        shown = await get_connection().execute("SHOW transaction_isolation")
    with transactional():
        shown_in_thread = get_connection().execute("SHOW transaction_isolation")
    await DatabaseRegistry.dispose()

    assert (shown.scalar(), shown_in_thread.scalar()) == ("read committed", "read committed")


@transactional()
async def test_sessions_carry_the_name_of_handlers(databases: Server) -> None:
    assert (await get_connection().execute("SHOW application_name")).scalar() == "scheduler handler"
