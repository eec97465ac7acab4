"""Addresses: whatever is given, psycopg and SQLAlchemy connect to the same place with the same password."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError
from sqlalchemy import create_engine

from scheduler.config import DatabaseSettings


def both(database: DatabaseSettings) -> dict[str, str]:
    """What libpq is told by either form; they must agree."""
    by_psycopg = {key: str(value) for key, value in conninfo_to_dict(database.conninfo).items()}
    engine = create_engine(database.sqlalchemy_url)
    _, options = engine.dialect.create_connect_args(engine.url)
    # The context is psycopg's own object, and these are the default ports of two hosts.
    told = {key: str(value) for key, value in options.items() if key != "context"}
    by_sqlalchemy = {key: value for key, value in told.items() if (key, value) != ("port", ",")}
    assert by_sqlalchemy == by_psycopg
    assert database.sqlalchemy_url.startswith("postgresql+psycopg://")
    assert by_psycopg.pop("connect_timeout") == str(database.connect_timeout_seconds)
    return by_psycopg


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgres://h/d", {"host": "h", "dbname": "d"}),
        ("postgresql://u:p@h:5433/d", {"host": "h", "port": "5433", "user": "u", "password": "p", "dbname": "d"}),
        ("postgresql+psycopg://u@h/d?sslmode=require", {"host": "h", "user": "u", "dbname": "d", "sslmode": "require"}),
        ("postgresql://u:p%40s%2Fs%25%3A@h/d", {"host": "h", "user": "u", "password": "p@s/s%:", "dbname": "d"}),
        ("postgresql://u:p@ss#:w%zz@h/d", {"host": "h", "user": "u", "password": "p@ss#:w%zz", "dbname": "d"}),
        ("postgresql:///d?host=/run/pg&port=5433", {"host": "/run/pg", "port": "5433", "dbname": "d"}),
        ("postgresql://%2Frun%2Fpg/d", {"host": "/run/pg", "dbname": "d"}),
        ("postgresql://u@[::1]:5433/d", {"host": "::1", "port": "5433", "user": "u", "dbname": "d"}),
        (
            "postgresql://u@a:5432,b:5433/d?target_session_attrs=read-write",
            {"host": "a,b", "port": "5432,5433", "user": "u", "dbname": "d", "target_session_attrs": "read-write"},
        ),
        ("postgresql://u@/d?host=a:5432&host=b:5433", {"host": "a,b", "port": "5432,5433", "user": "u", "dbname": "d"}),
        ("postgresql://h/d?user=u&password=p%26w", {"host": "h", "dbname": "d", "user": "u", "password": "p&w"}),
        ("postgresql://h/d%2Fe?options=-c%20a%3Db+c", {"host": "h", "dbname": "d/e", "options": "-c a=b+c"}),
        (" postgresql://h/d\n", {"host": "h", "dbname": "d"}),
    ],
)
def test_a_url_keeps_its_meaning(url: str, parts: dict[str, str]) -> None:
    assert both(DatabaseSettings(url=url)) == parts


@pytest.mark.parametrize(
    "parts",
    [
        {"host": "h"},
        {"host": "h", "port": 5433, "user": "u", "password": "p@/:?#%&+ ='\\", "dbname": "d"},
        {"host": "/run/pg", "port": 5433, "dbname": "d"},
        {"host": "::1", "user": "u"},
        {"host": "a,b", "password": "without a user"},
    ],
)
def test_parts_keep_their_meaning(parts: dict[str, Any]) -> None:
    assert both(DatabaseSettings(**parts)) == {key: str(value) for key, value in parts.items()}


# libpq's own strings can't hold NUL, and surrogates are no UTF-8.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(user=TEXT, password=TEXT, dbname=TEXT)
@example(user=",", password=",", dbname=",")
def test_no_character_of_a_secret_is_lost(user: str, password: str, dbname: str) -> None:
    database = DatabaseSettings(host="h", user=user.strip(), password=password.strip(), dbname=dbname.strip())

    told = both(database)

    assert (told["user"], told["password"], told["dbname"]) == (user.strip(), password.strip(), dbname.strip())
    assert both(DatabaseSettings(url=database.conninfo)) == told


def test_a_timeout_in_the_url_comes_first() -> None:
    database = DatabaseSettings(url="postgresql://h/d?connect_timeout=3", connect_timeout_seconds=60)

    assert conninfo_to_dict(database.conninfo)["connect_timeout"] == "3"


def test_the_direct_address_is_the_pooled_one_unless_it_is_given() -> None:
    pooled = DatabaseSettings(url="postgresql://pooler/d")
    direct = DatabaseSettings(url="postgresql://pooler/d", direct_url="postgresql://server/d")

    assert pooled.direct_conninfo == pooled.conninfo
    assert conninfo_to_dict(direct.direct_conninfo)["host"] == "server"
    assert conninfo_to_dict(direct.conninfo)["host"] == "pooler"


def test_at_moves_settings_to_another_address() -> None:
    database = DatabaseSettings(host="h", user="u", password="hunter2", pool_size=3, schema="jobs")

    moved = database.at("postgresql:///jobs?host=/run/embedded")

    assert both(moved) == {"host": "/run/embedded", "dbname": "jobs"}
    assert (moved.pool_size, moved.schema_, moved.pool_timeout_seconds) == (3, "jobs", 30)


def test_secrets_are_not_shown() -> None:
    by_url = DatabaseSettings(url="postgresql://u:hunter2@h/d", direct_url="postgresql://u:hunter2@s/d")
    by_parts = DatabaseSettings(host="h", password="hunter2")

    assert "hunter2" not in f"{by_url} {by_url!r} {by_parts} {by_parts!r} {by_url.model_dump()} {by_parts._address!r}"
    with pytest.raises(ValidationError) as refused:
        DatabaseSettings(url="mysql://u:hunter2@h/d")
    assert "hunter2" not in str(refused.value)
