"""What is refused, in what words, and how fast; and what must not be."""

import time
import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from scheduler.errors import ScheduleError
from scheduler.rules import zones
from scheduler.rules.schedule import parse
from scheduler.rules.zones import load_zone, tzdata_version, zone_names

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


def refusal(expression: str, zone: str = "UTC") -> str:
    with pytest.raises(ScheduleError) as refused:
        parse(expression, zone, anchor=ANCHOR)
    return str(refused.value)


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30 2 */2", "0 0 30,31 FEB *", "0 0 0 30 2 *", "0 0 31 2,4 */7",
    ],
)  # fmt: skip
def test_what_never_fires_is_refused_without_a_search(expression: str) -> None:
    began = time.perf_counter()
    assert "would never fire" in refusal(expression)
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize(
    ("expression", "field", "why"),
    [
        ("60 * * * *", "minute", "use 0 to 59"),
        ("* 24 * * *", "hour", "use 0 to 23"),
        ("0 0 0 * *", "day-of-month", "use 1 to 31"),
        ("0 0 32 * *", "day-of-month", "use 1 to 31"),
        ("0 0 * 13 *", "month", "use 1 to 12"),
        ("0 0 * 0 *", "month", "use 1 to 12"),
        ("0 0 * * 8", "day-of-week", "use 0 to 7"),
        ("61 0 0 * * *", "second", "use 0 to 59"),
        ("0-60 * * * *", "minute", "use 0 to 59"),
        ("-1 * * * *", "minute", "can't be read"),
        ("*/0 * * * *", "minute", "a step of 0: use 1 to 60"),
        ("*/99 * * * *", "minute", "a step of 99: use 1 to 60"),
        ("0 */25 * * *", "hour", "a step of 25: use 1 to 24"),
        ("0 0 * * 1-5/8", "day-of-week", "a step of 8: use 1 to 7"),
        ("5-1 * * * *", "minute", "write it as '5-59,0-1'"),
        ("0 22-2 * * *", "hour", "write it as '22-23,0-2'"),
        ("0 0 * * FRI-MON", "day-of-week", "write it as 'FRI-SAT,SUN-MON'"),
        ("0 0 * * 5-SUN", "day-of-week", "wraps around"),
        ("0 0 * NOV-feb *", "month", "write it as 'NOV-DEC,JAN-FEB'"),
        ("? * * * *", "minute", "can't be read"),
        ("0 0 ? * MON", "day-of-month", "L (the last day) or LW"),
        ("H * * * *", "minute", "can't be read"),
        ("R 0 * * *", "minute", "can't be read"),
        ("0 0 15W * *", "day-of-month", "can't be read"),
        ("0 0 L-3 * *", "day-of-month", "can't be read"),
        ("0 0 L/2 * *", "day-of-month", "can't be read"),
        ("0 L * * *", "hour", "can't be read"),
        ("0 0 * * L", "day-of-week", "can't be read"),
        ("0 0 * * 1#6", "day-of-week", "write #1 to #5"),
        ("0 0 * * 1#0", "day-of-week", "write #1 to #5"),
        ("0 0 * * MON#", "day-of-week", "write #1 to #5"),
        ("0 0 * * #1", "day-of-week", "can't be read"),
        ("0 0 * * 1-5#1", "day-of-week", "can't be read"),
        ("1,,2 * * * *", "minute", "extra comma"),
        ("1, * * * *", "minute", "extra comma"),
        (", * * * *", "minute", "extra comma"),
        ("**/2 * * * *", "minute", "can't be read"),
        ("** * * * *", "minute", "can't be read"),
        ("*/ * * * *", "minute", "can't be read"),
        ("*/2/2 * * * *", "minute", "can't be read"),
        ("*-5 * * * *", "minute", "can't be read"),
        ("1-2-3 * * * *", "minute", "can't be read"),
        ("/5 * * * *", "minute", "can't be read"),
        ("0 0 * * MON-", "day-of-week", "can't be read"),
        ("0 0 * * FOO", "day-of-week", "can't be read"),
        ("0 0 * * TUES", "day-of-week", "Did you mean 'TUE'?"),
        ("0 0 * SEPT *", "month", "Did you mean 'SEP'?"),
        ("0 0 * MON *", "month", "can't be read"),
        ("٣ * * * *", "minute", "not ASCII"),
        ("0 0 * * FRı", "day-of-week", "not ASCII"),
        ("0\u00a01 * * * *", "minute", "not ASCII"),
        ("1_0 * * * *", "minute", "can't be read"),
        ("+5 * * * *", "minute", "can't be read"),
        ("0x5 * * * *", "minute", "can't be read"),
        ("1.5 * * * *", "minute", "can't be read"),
        ("0 0 * * * #", "day-of-week", "can't be read"),
    ],
)  # fmt: skip
def test_refusals_name_the_field_and_say_why(expression: str, field: str, why: str) -> None:
    message = refusal(expression)
    assert message.startswith(f"The {field} field ")
    assert why in message


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "0 fields"),
        ("  \t ", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * * *", "7 fields"),
        ("0 0 * * * # comment", "7 fields"),
        ("TZ=UTC 0 0 * * *", "'TZ=UTC'"),
        ("CRON_TZ=UTC 0 0 * * *", "`timezone`"),
        ("@reboot", "macro '@reboot' is unknown"),
        ("@never", "macro '@never' is unknown"),
        ("@dialy", "Did you mean '@daily'?"),
        ("@daily 5", "macro '@daily 5' is unknown"),
        ("@", "macro '@' is unknown"),
        ("@every", "can't be read"),
        ("@every 90", "can't be read"),
        ("@every90s", "can't be read"),
        ("@every 1.5h", "can't be read"),
        ("@every -5m", "can't be read"),
        ("@every 1h30m", "can't be read"),
        ("@every 1w", "can't be read"),
        ("@every ٣s", "can't be read"),
        ("@every 0s", "out of range"),
        ("@every 36501d", "out of range"),
        (f"@every {'9' * 150}d", "out of range"),
        ("* * * * *" + " " * 192, "more than 200 characters"),
        ("1," * 500_000 + "1 * * * *", "more than 200 characters"),
        ("0 0 * * *\n", "control character"),
        ("0 0 * * *\x00", "control character"),
        ("0 0\x0b* * *", "control character"),
        ("0 0 * * \x7f", "control character"),
    ],
)
def test_refusals_of_the_whole(expression: str, why: str) -> None:
    message = refusal(expression)
    assert why in message
    assert len(message) < 600


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 30 2 1", "*,5 * * * *", "00 09 * * *", "0\t9\t*\t*\t*", " 0  9 * * * ", "0 9 * * 1-5,1", "*/60 * * * *",
        "0 */24 * * *", "0 0 * * 0-7", "0 0 * * FRI-7", "0 0 * * mon-FRI/2", "0 0 L,15 * *", "0 0 LW 2 *",
        "0 0 * * friL", "0 0 29 2 *", "0 0 * 2 1#5", "@Hourly", "@ANNUALLY", "@midnight", "@EVERY 5M", "@every 05m",
    ],
)  # fmt: skip
def test_what_must_be_accepted(expression: str) -> None:
    assert parse(expression, "UTC", anchor=ANCHOR).next(ANCHOR) is not None


def test_two_hundred_characters_are_accepted() -> None:
    expression = "* * * * *".ljust(200)
    assert parse(expression, "UTC", anchor=ANCHOR).next(ANCHOR) == ANCHOR + timedelta(minutes=1)


@pytest.mark.parametrize(
    "zone", ["../etc/passwd", "/etc/localtime", "x" * 300, "", "Asia/", "Asia", "UTC\x00", "UTC+3"]
)
def test_unknown_zones_are_refused_before_a_file_is_touched(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    zone_names()
    monkeypatch.setattr(zones, "files", lambda package: pytest.fail(f"{package} was opened"))
    for expression in ("0 0 * * *", "@every 5m"):
        message = refusal(expression, zone)
        assert "is unknown" in message
        assert len(message) < 200


@pytest.mark.parametrize(
    ("given", "meant"),
    [("utc", "UTC"), ("asia/seoul", "Asia/Seoul"), ("Europe/Berln", "Europe/Berlin"), ("US/Pacfic", "US/Pacific")],
)
def test_zones_are_suggested(given: str, meant: str) -> None:
    assert refusal("0 0 * * *", given).endswith(f"Did you mean {meant!r}?")


def test_every_zone_of_the_package_is_known_and_readable() -> None:
    assert {"UTC", "Asia/Seoul", "US/Eastern", "America/Argentina/Buenos_Aires"} <= zone_names()
    assert {load_zone(name).key for name in zone_names()} == zone_names()


def test_the_hosts_own_zones_are_not_asked(tmp_path: Path) -> None:
    (tmp_path / "Asia").mkdir()
    (tmp_path / "Asia" / "Seoul").write_bytes(files("tzdata").joinpath("zoneinfo", "UTC").read_bytes())
    zoneinfo.reset_tzpath([tmp_path])
    try:
        assert zoneinfo.ZoneInfo.no_cache("Asia/Seoul").utcoffset(ANCHOR) == timedelta(0)
        assert load_zone.__wrapped__("Asia/Seoul").utcoffset(ANCHOR) == timedelta(hours=9)
    finally:
        zoneinfo.reset_tzpath()


def test_tzdata_version_is_an_iana_one() -> None:
    year, letter = int(tzdata_version()[:4]), tzdata_version()[4:]
    assert year >= 2026
    assert letter.isalpha()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("KST", "Asia/Seoul"), ("PDT", "America/Los_Angeles"), ("CST", "America/Chicago, Asia/Shanghai")],
)
def test_an_abbreviation_is_told_from_a_name(name: str, meant: str) -> None:
    with pytest.raises(ScheduleError, match=rf"^'{name}' is an abbreviation.*write one such as {meant}"):
        load_zone(name)
