"""Counts, spans and lists as people read them."""

from datetime import timedelta

import pytest

from scheduler.operations.words import count_of, listed, span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"), (0.4, "0 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"), (61, "61 s"),
        (119.6, "2 min"), (149, "2 min"), (151, "3 min"), (3599, "1 h"), (3600, "1 h"), (3660, "61 min"),
        (5400, "90 min"), (7199, "2 h"), (86_399, "1 d"), (86_400, "1 d"), (90_000, "25 h"), (172_799, "2 d"),
        (1_000_000, "12 d"), (86_400_000, "1,000 d"),
    ],
)  # fmt: skip
def test_a_span_is_rounded_in_one_unit(seconds: float, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == span(seconds) == said


def test_a_span_may_have_no_end() -> None:
    assert span(float("inf")) == "ever"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (count_of(0, "tick"), "0 ticks"),
        (count_of(1, "tick"), "1 tick"),
        (count_of(2000, "process", "processes"), "2,000 processes"),
        (listed("abcde"), "a, b, c, d, e"),
        (listed("abcdefg"), "a, b, c, d, e and 2 more"),
    ],
)
def test_counts_and_lists(words: str, said: str) -> None:
    assert words == said
