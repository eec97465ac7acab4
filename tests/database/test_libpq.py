import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from scheduler.database import libpq
from scheduler.errors import ConfigurationError


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_every_form_of_url_means_the_same(scheme: str) -> None:
    conninfo = libpq.conninfo_from_url(f"{scheme}://ann:p%40s%2Fs%25%20%27@example.org:6000/shop?sslmode=require")

    assert conninfo_to_dict(conninfo) == {
        "user": "ann",
        "password": "p@s/s% '",
        "host": "example.org",
        "port": "6000",
        "dbname": "shop",
        "sslmode": "require",
    }


def test_sockets_several_hosts_and_key_value_strings_are_understood() -> None:
    assert conninfo_to_dict(libpq.conninfo_from_url("postgresql+psycopg:///shop?host=/run/pg")) == {
        "host": "/run/pg",
        "dbname": "shop",
    }
    assert conninfo_to_dict(libpq.conninfo_from_url("postgresql://a:1,b:2/shop"))["host"] == "a,b"
    assert conninfo_to_dict(libpq.conninfo_from_url("host=a dbname=shop"))["dbname"] == "shop"


@pytest.mark.parametrize(
    "url", ["mysql://ann:s3cret@host/db", "postgresql+asyncpg://ann:s3cret@host/db", "postgresql://ann:s3cret%@host/db"]
)
def test_an_unreadable_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user:password@host") as refused:
        libpq.conninfo_from_url(url)

    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_url_keeps_what_it_says_itself() -> None:
    params = libpq.connection_params(
        "postgresql://host/db?connect_timeout=3&keepalives_idle=5&application_name=mine",
        application_name="scheduler",
        connect_timeout_seconds=0.5,
    )

    assert (params["connect_timeout"], params["keepalives_idle"], params["keepalives"]) == ("3", "5", 1)
    assert params["application_name"] == "scheduler"


async def test_raw_connections_autocommit_and_carry_their_name(database_url: str) -> None:
    async with await libpq.connect(database_url, application_name="core") as connection:
        shown = await (await connection.execute("SHOW application_name")).fetchone()
        assert shown == ("core",)
        assert connection.autocommit
        assert connection.prepare_threshold is None
    with libpq.connect_sync(database_url, application_name="heartbeat") as connection_of_thread:
        assert connection_of_thread.execute("SHOW application_name").fetchone() == ("heartbeat",)
        assert connection_of_thread.autocommit


async def test_an_absent_server_is_the_drivers_error() -> None:
    with pytest.raises(psycopg.OperationalError):
        await libpq.connect("postgresql:///db?host=/nowhere", application_name="core")
