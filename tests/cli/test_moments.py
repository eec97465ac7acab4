"""Times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.cli.moments import duration, relative, span, until_due

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"), (61, "61 s"), (119.6, "2 min"),
        (149, "2 min"), (151, "3 min"), (3599, "1 h"), (3600, "1 h"), (3660, "61 min"), (5400, "90 min"),
        (7199, "2 h"), (86_399, "1 d"), (86_400, "1 d"), (90_000, "25 h"), (172_799, "2 d"), (1_000_000, "12 d"),
    ],
)  # fmt: skip
def test_a_span_is_rounded_in_one_unit(seconds: float, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("seconds", "said", "until"),
    [
        (3599, "in 1 h", "in 1 h"),
        (0.4, "now", "now"),
        (-0.4, "now", "now"),
        (-12, "12 s ago", "due since 12 s, catching up"),
    ],
)
def test_a_moment_is_told_from_now(seconds: float, said: str, until: str) -> None:
    moment = NOW + timedelta(seconds=seconds)
    assert (relative(moment, NOW), until_due(moment, NOW)) == (said, until)


@pytest.mark.parametrize(("seconds", "said"), [(0.012, "12 ms"), (1.238, "1.24 s"), (3599, "1 h")])
def test_how_long_it_took(seconds: float, said: str) -> None:
    assert duration(NOW, NOW + timedelta(seconds=seconds)) == said
