"""Clocks and calendars: this host's against the database's, and whose time zone data ticks were computed with."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from scheduler.operations.doctor.bench import Bench
from scheduler.operations.doctor.finding import Code, Finding
from scheduler.operations.words import count_of, listed
from scheduler.rules.zones import tzdata_version
from scheduler.store.asking import database_time

_TRIES = 3
_SKEWED_SECONDS = 1.0
_OLD_YEARS = 2


def clock(bench: Bench) -> Iterator[Finding]:
    """How far this host's clock is from the one that all stored times come from."""
    skew, doubt = min((_skew(bench) for _ in range(_TRIES)), key=lambda measured: measured[1])
    seconds = abs(skew.total_seconds())
    if seconds - doubt.total_seconds() <= _SKEWED_SECONDS:
        yield Finding.fine(Code.CLOCK, "This host's clock agrees with the database's to the second.")
        return
    side = "behind" if skew > timedelta() else "ahead of"
    level = Finding.error if seconds > bench.facts.heartbeat_interval_seconds else Finding.warning
    yield level(
        Code.CLOCK,
        f"This host's clock is {seconds:.1f} s {side} the database's. Ticks follow the database's clock; "
        "log lines and handlers here follow the other.",
        "Synchronise both by NTP: `timedatectl` shows whether this host is.",
    )


def tzdata(bench: Bench) -> Iterator[Finding]:
    """Ticks were computed with the data that is installed here, and that isn't years old."""
    here = tzdata_version()
    others = [row for row in bench.ask("doctor_tzdata") if row["version"] != here]
    year = int(here[:4])
    if others:
        planned = listed(f"{count_of(row['cron_jobs'], 'cron job')} with {row['version']}" for row in others)
        yield Finding.warning(
            Code.TZDATA,
            f"Time zone data {here} is installed here, and planners used other: {planned}.",
            "Install the same version of the package tzdata on all hosts, then restart `scheduler run`: "
            "it computes those ticks anew.",
        )
    elif database_time(bench.session).year - year >= _OLD_YEARS:
        yield Finding.warning(
            Code.TZDATA,
            f"The time zone data here is {here}: ticks of zones whose rules have changed since are wrong.",
            "Run `pip install --upgrade tzdata` on every host, then restart `scheduler run`.",
        )
    else:
        yield Finding.fine(Code.TZDATA, f"Time zone data {here} is installed here, and ticks are computed with it.")


def zones(bench: Bench) -> Iterator[Finding]:
    """The server knows the zones in use, for whoever writes AT TIME ZONE."""
    unknown = bench.ask("doctor_zones")
    if unknown:
        names = listed(f"{row['zone']} (cron job {row['cron_job']!r})" for row in unknown)
        yield Finding.warning(
            Code.ZONES,
            f"The server's own time zone data lacks {names}. Ticks are right; AT TIME ZONE in SQL fails for them.",
            "Update the server's tzdata package.",
        )
    else:
        yield Finding.fine(Code.ZONES, "The server knows every zone that cron jobs use.")


def _skew(bench: Bench) -> tuple[timedelta, timedelta]:
    """How much later it is in the database than here, and by how much that may be wrong."""
    before = datetime.now(UTC)
    there = database_time(bench.session) if bench.has_tables else bench.one("doctor_clock")["now"]
    after = datetime.now(UTC)
    return there - (before + (after - before) / 2), (after - before) / 2
