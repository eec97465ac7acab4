"""`from scheduler import …` gives the public names, and loads no more than they need."""

import subprocess
import sys

import pytest

import scheduler


def test_each_public_name_is_there() -> None:
    for name in scheduler.__all__:
        assert getattr(scheduler, name) is not None
    assert set(scheduler.__all__) <= set(dir(scheduler))


def test_each_public_error_is_one_of_the_package() -> None:
    from scheduler import errors

    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined <= set(scheduler.__all__)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        scheduler.nothing  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import scheduler", ["pydantic", "sqlalchemy", "psycopg", "asyncio"]),
        ("from scheduler import RetryLater", ["pydantic", "sqlalchemy", "psycopg", "asyncio"]),
        ("from scheduler import BaseHandler, handler, current_execution", ["sqlalchemy", "psycopg"]),
    ],
)
def test_importing_a_little_loads_a_little(statement: str, unwanted: list[str]) -> None:
    script = f"import sys; {statement}; print(*[name for name in {unwanted} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == []
