"""SQLAlchemy's sessions within a transaction over several databases, and savepoints in both forms."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from scheduler.database import get_connection, savepoint, session, transactional
from scheduler.errors import QueryExecutionError, TransactionError
from tests.two_phase.conftest import INSERT, Place

TWO = ("default", "business")


class Base(DeclarativeBase):
    pass


class Effect(Base):
    __tablename__ = "effect"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


async def test_what_a_session_holds_commits_with_everything_else(place: Place) -> None:
    async with transactional(*TWO):
        async with session("business", expire_on_commit=False) as orm:
            orm.add(Effect(id=1, name="a"))
        await get_connection("default").execute(INSERT)
        assert (await get_connection("business").execute("SELECT name FROM effect")).scalar() == "a"
        async with session("business") as orm:
            (found,) = await orm.scalars(select(Effect))
            found.name = "b"
        assert place.effects() == [[], [], []]

    assert place.effects() == [[1], [1], []]
    assert place.run("SELECT name FROM effect", database="business") == [("b",)]
    assert len(place.decisions()) == 1


def test_the_sync_form_does_likewise(place: Place) -> None:
    with transactional(*TWO):
        with session("business") as orm:
            orm.add(Effect(id=1, name="a"))
        get_connection("default").execute(INSERT)

    assert place.effects() == [[1], [1], []]


async def test_an_error_in_a_session_undoes_its_part_alone(place: Place) -> None:
    async with transactional(*TWO):
        await get_connection("business").execute(INSERT)
        with pytest.raises(IntegrityError):
            async with session("business") as orm:
                orm.add(Effect(id=2, name="b"))
                await orm.flush()
                orm.add(Effect(id=1, name="twice"))

    assert place.effects() == [[], [1], []]


async def test_what_a_session_wrote_rolls_back_with_everything_else(place: Place) -> None:
    with pytest.raises(ZeroDivisionError):
        async with transactional(*TWO):
            async with session("business") as orm:
                orm.add(Effect(id=1, name="a"))
            raise ZeroDivisionError

    assert place.effects() == [[], [], []]


def test_savepoints_nest_in_the_sync_form(place: Place) -> None:
    with transactional(*TWO):
        with savepoint():
            get_connection("default").execute(INSERT)
            with pytest.raises(QueryExecutionError), savepoint():
                get_connection("business").execute(INSERT)
                get_connection("default").execute(INSERT)
        get_connection("business").execute("INSERT INTO effect VALUES (2, 'b')")

    assert place.effects() == [[1], [2], []]


async def test_a_joined_block_that_failed_inside_of_a_savepoint_is_forgiven(place: Place) -> None:
    @transactional("default")
    async def fail() -> None:
        await get_connection("default").execute(INSERT)
        raise ZeroDivisionError

    async with transactional(*TWO):
        await get_connection("business").execute(INSERT)
        with pytest.raises(ZeroDivisionError):
            async with savepoint():
                await fail()

    assert place.effects() == [[], [1], []]


async def test_outside_of_a_transaction_and_in_the_other_form_they_say_so(place: Place) -> None:
    with pytest.raises(TransactionError, match=r"savepoint\(\) was called outside of a transaction"):
        async with savepoint():
            pass
    with pytest.raises(
        TransactionError, match=r'session\("business"\) was called outside .*@transactional\("business"\)'
    ):
        async with session("business"):
            pass
    async with transactional():
        with pytest.raises(TransactionError, match="use `async with` inside of `async with`"), savepoint():
            pass
        with pytest.raises(TransactionError, match="'business' isn't part of the open transaction"):
            async with session("business"):
                pass
