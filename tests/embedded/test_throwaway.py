import psycopg
import pytest

from scheduler.testing.postgres import ThrowawayPostgres


def fill(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE filled AS SELECT 1 AS n")


def refuse(_: str) -> None:
    pytest.fail("a template is made once")


def test_fresh_databases_are_copies_of_the_template(postgres_server: ThrowawayPostgres) -> None:
    name = postgres_server.template("throwaway_test", fill)
    assert postgres_server.template("throwaway_test", refuse) == name
    with postgres_server.fresh_database(name) as first, psycopg.connect(first) as connection:
        connection.execute("DROP TABLE filled")
    with postgres_server.fresh_database(name) as second, psycopg.connect(second) as connection:
        assert connection.execute("SELECT n FROM filled").fetchone() == (1,)


def test_failed_template_is_made_anew(postgres_server: ThrowawayPostgres) -> None:
    def fail(url: str) -> None:
        fill(url)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        postgres_server.template("half_test", fail)
    name = postgres_server.template("half_test", fill)
    with postgres_server.fresh_database(name) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM filled").fetchone() == (1,)


def test_database_is_dropped_with_whatever_is_open_in_it(postgres_server: ThrowawayPostgres) -> None:
    with postgres_server.fresh_database() as url:
        connected = psycopg.connect(url)
        connected.tpc_begin(connected.xid(1, "prepared", "part"))
        connected.execute("CREATE TABLE pending (n int)")
        connected.tpc_prepare()
        database = connected.info.dbname
    connected.close()
    with psycopg.connect(postgres_server.url()) as connection:
        left = connection.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [database]).fetchone()
    assert left == (0,)


def test_database_url_is_an_empty_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        assert tables.fetchone() == (0,)
