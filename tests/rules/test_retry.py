"""How long a failed execution waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model import Backoff
from scheduler.rules.retry import MAX_DELAY_SECONDS, delay_seconds, jittered

backoffs = st.sampled_from(Backoff)
units = st.floats(0, 86_400)
counts = st.integers(1, 2**31 - 1)
chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [("fixed", [3, 3, 3, 3, 3]), ("linear", [3, 6, 9, 12, 15]), ("exponential", [3, 6, 12, 24, 48])],
)
def test_each_backoff_grows_its_own_way(backoff: str, waits: list[float]) -> None:
    assert [delay_seconds(backoff, 3.0, failures) for failures in range(1, 6)] == waits


@given(backoffs, units, counts)
def test_no_wait_is_longer_than_a_day(backoff: Backoff, unit: float, failures: int) -> None:
    assert 0 <= delay_seconds(backoff, unit, failures) <= MAX_DELAY_SECONDS


@given(backoffs, units, counts)
def test_a_later_failure_never_waits_less(backoff: Backoff, unit: float, failures: int) -> None:
    assert delay_seconds(backoff, unit, failures) <= delay_seconds(backoff, unit, failures + 1)


def test_a_backoff_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="sometimes"):
        delay_seconds("sometimes", 1.0, 1)


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 90.0), (0.25, 95.0), (0.5, 100.0), (0.75, 105.0)])
def test_chance_picks_the_place_within_ten_percent(chance: float, wait: float) -> None:
    assert jittered(100.0, chance) == pytest.approx(wait)


@given(units, chances)
def test_jitter_stays_within_ten_percent(seconds: float, chance: float) -> None:
    assert seconds * 0.9 - 1e-9 <= jittered(seconds, chance) <= seconds * 1.1 + 1e-9
