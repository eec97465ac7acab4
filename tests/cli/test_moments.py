"""Times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from scheduler.cli.moments import (
    absolute,
    before_now,
    duration,
    parsed,
    parsed_ago,
    parsed_ahead,
    parsed_or_none,
    parsed_span,
    relative,
    until_due,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("5 min", 300), ("2h", 7200), ("1h30m", 5400), ("1.5H", 5400), ("1d", 86_400),
     ("2w", 1_209_600)],
)  # fmt: skip
def test_a_duration_as_people_write_it(text: str, seconds: float) -> None:
    assert parsed_span(text, "--for") == timedelta(seconds=seconds)
    assert before_now(parsed_ago(text, "--since"), NOW) == NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-2h", "2h ago", "0s", "4000d", "9" * 400 + "h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a duration: write 90s, 5m, 2h, 1d or 1w"):
        parsed_span(text, "--for")


def test_since_may_also_be_a_time() -> None:
    moment = parsed_ago("2026-03-01T02:00+09:00", "--since")
    assert before_now(moment, NOW) == datetime(2026, 2, 28, 17, tzinfo=UTC)
    with pytest.raises(typer.BadParameter, match="is neither a duration nor a time"):
        parsed_ago("yesterday", "--since")


@pytest.mark.parametrize("text", ["1970-01-01T00:00Z", "8999-12-31T23:59:59"])
def test_the_ends_of_time_that_may_be_written(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert absolute(parsed(text, "--at") + timedelta(days=3650))


@pytest.mark.parametrize(
    "text", ["0001-01-01", "1969-12-31T23:59", "9000-01-01", "9999-12-31T23:59:59", "1970-01-01T00:00+01:00"]
)
def test_a_time_that_nobody_can_count_from(text: str) -> None:
    for parse in (parsed, parsed_ago, parsed_ahead):
        with pytest.raises(typer.BadParameter, match="is out of range: write a time from 1970 up to the year 9000"):
            parse(text, "--at")
    assert parsed_or_none(text) is None
