"""What a worker refuses at its start, and what it warns of: before any execution could fail for it."""

from collections.abc import Iterator, Sequence

import pytest

from scheduler.app.atomicity import require_atomic
from scheduler.database import DatabaseRegistry
from scheduler.errors import ConfigurationError
from scheduler.handlers import HandlerRegistry, declare
from scheduler.testing.postgres import ThrowawayPostgres
from tests.store.tables import Events
from tests.two_phase.conftest import Place


@pytest.fixture(scope="module")
def small_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """On a server with room for no prepared transaction."""
    settings = {"max_prepared_transactions": "0"}
    with ThrowawayPostgres(tmp_path_factory.mktemp("small"), settings=settings) as server:
        yield server.url()


async def work() -> None:
    """A handler."""


def handlers(*databases: str) -> HandlerRegistry:
    return HandlerRegistry([declare("sync", work, "sync.py:1", {"transactional": databases})])


@pytest.mark.parametrize("names", [["default", "business"], ["business"], ["default"]])
def test_what_can_be_atomic_is_accepted(place: Place, events: Events, names: Sequence[str]) -> None:
    require_atomic(handlers(*names), ["business", "books"])

    assert events == []


def test_an_unknown_database_is_refused(place: Place) -> None:
    with pytest.raises(ConfigurationError, match=r"'sync' \(sync\.py:1\) .* 'busines'\. Did you mean 'business'\?"):
        require_atomic(handlers("busines"), [])


def test_one_on_a_best_effort_is_refused(place: Place) -> None:
    DatabaseRegistry.configure({**place.urls, "books": {"url": place.urls["books"], "atomicity": "best_effort"}})

    with pytest.raises(ConfigurationError, match=r"databases\.books has atomicity: best_effort, which would commit be"):
        require_atomic(handlers("default", "books"), [])


def test_one_that_cannot_prepare_is_refused_where_it_is_declared(place: Place, small_url: str) -> None:
    DatabaseRegistry.configure({**place.urls, "books": small_url})

    with pytest.raises(ConfigurationError, match=r"databases\.books can't prepare .* max_prepared_transactions = 64"):
        require_atomic(handlers("default", "books"), [])


def test_and_warned_of_where_it_may_be_used(place: Place, small_url: str, events: Events) -> None:
    DatabaseRegistry.configure({**place.urls, "books": small_url})

    require_atomic(handlers("default"), ["default", "books"])

    assert events == [("database.cannot_prepare", {"database": "books"})]


def test_the_job_database_need_not_prepare(place: Place, small_url: str, events: Events) -> None:
    DatabaseRegistry.configure({"default": small_url, "business": place.urls["business"]})

    require_atomic(handlers("default", "business"), ["default", "business"])

    assert events == []


def test_one_that_is_away_is_not_judged(place: Place, events: Events) -> None:
    DatabaseRegistry.configure({**place.urls, "books": "postgresql:///db?host=/nowhere"})

    require_atomic(handlers("default", "books"), ["books"])

    assert events == []
