"""The same seed is the same chaos, and no kind is left out of it."""

from collections import Counter
from itertools import pairwise

from tests.chaos.schedule import Kind, schedule


def test_it_is_a_function_of_the_seed() -> None:
    assert schedule(1, 60, 3) == schedule(1, 60, 3)
    assert schedule(1, 60, 3) != schedule(2, 60, 3)


def test_each_kind_comes_as_often_as_any_other() -> None:
    often = Counter(strike.kind for strike in schedule(3, 600, 3))
    assert often.keys() == set(Kind)
    assert max(often.values()) - min(often.values()) <= 1


def test_each_kind_comes_however_short_it_is() -> None:
    assert {strike.kind for strike in schedule(4, 1, 1)} == set(Kind)


def test_one_comes_after_the_other_at_about_the_pace_that_was_asked_for() -> None:
    times = [strike.at for strike in schedule(5, 600, 3)]
    assert all(1.4 <= later - earlier <= 4.6 for earlier, later in pairwise(times))
    assert 600 <= times[-1] < 605
