"""What a soak tells: its samples by the minute, and its second half against its second quarter."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import fmean, quantiles
from typing import Any

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """What was so at its end, and what happened since the one before."""

    at: float
    """Seconds since the beginning."""
    seconds: float
    enqueued: int
    finished: int
    backlog: int
    worker_bytes: int
    table_bytes: int
    live_rows: int
    dead_rows: int
    postgres_seconds: float
    worker_seconds: float
    waits: Sequence[float]
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some samples in a row: levels are means. None where nothing was there to be measured."""

    until_minute: float
    enqueued_per_second: float
    finished_per_second: float
    backlog: float
    worker_mib: float
    table_mib: float
    live_rows: float
    dead_rows: float
    p50_ms: float | None
    p99_ms: float | None
    postgres_us: float | None
    worker_us: float | None


def _figures(samples: Sequence[Sample]) -> Figures:
    seconds, finished = sum(each.seconds for each in samples), sum(each.finished for each in samples)
    waits = [wait for each in samples for wait in each.waits]
    hundredths = quantiles(waits, n=100) if len(waits) > 1 else None
    return Figures(
        until_minute=samples[-1].at / 60,
        enqueued_per_second=sum(each.enqueued for each in samples) / seconds,
        finished_per_second=finished / seconds,
        backlog=fmean(each.backlog for each in samples),
        worker_mib=fmean(each.worker_bytes for each in samples) / MIB,
        table_mib=fmean(each.table_bytes for each in samples) / MIB,
        live_rows=fmean(each.live_rows for each in samples),
        dead_rows=fmean(each.dead_rows for each in samples),
        p50_ms=hundredths[49] if hundredths else None,
        p99_ms=hundredths[98] if hundredths else None,
        postgres_us=sum(each.postgres_seconds for each in samples) / finished * 1e6 if finished > 0 else None,
        worker_us=sum(each.worker_seconds for each in samples) / finished * 1e6 if finished > 0 else None,
    )


def minutes(samples: Sequence[Sample]) -> list[Figures]:
    """Of each minute in which there are samples, the first one first."""
    by_minute = groupby(samples, lambda each: int((each.at - each.seconds / 2) // 60))
    return [_figures(list(each)) for _, each in by_minute]


def result(samples: Sequence[Sample], drained: float, rate: float) -> dict[str, Any]:
    """Ready for JSON. `drained` and `rate`, that asked for: jobs a second."""
    quarter, half = len(samples) // 4, len(samples) // 2
    earlier, later = _figures(samples[quarter:half]), _figures(samples[half:])
    whole = _figures(samples)
    apart = (_middle(samples[half:]) - _middle(samples[quarter:half])) / 60
    return {
        "drained_per_second": drained,
        "asked_per_second": rate,
        "enqueued_per_second": whole.enqueued_per_second,
        "finished_per_second": whole.finished_per_second,
        "backlog_at_the_end": samples[-1].backlog,
        "samples": [asdict(_figures([each])) for each in samples],
        "minutes": [asdict(each) for each in minutes(samples)],
        "second_quarter": asdict(earlier),
        "second_half": asdict(later),
        "verdict": {
            "worker_percent_per_minute": 100 * (later.worker_mib / earlier.worker_mib - 1) / apart,
            "table_percent_per_minute": 100 * (later.table_mib / earlier.table_mib - 1) / apart,
            "backlog_per_minute": (later.backlog - earlier.backlog) / apart,
            "p50_ratio": _ratio(earlier.p50_ms, later.p50_ms),
            "p99_ratio": _ratio(earlier.p99_ms, later.p99_ms),
            "producer_kept_up": whole.enqueued_per_second >= 0.99 * rate,
            "worker_kept_up": later.backlog - earlier.backlog < rate,
        },
    }


def _middle(samples: Sequence[Sample]) -> float:
    return fmean(each.at for each in samples)


def _ratio(before: float | None, after: float | None) -> float | None:
    return after / before if before and after is not None else None


def in_words(result: Mapping[str, Any]) -> str:
    verdict = result["verdict"]
    lines = [
        f"{result['drained_per_second']:,.0f} jobs/s drained; asked for {result['asked_per_second']:,.0f} jobs/s, "
        f"enqueued {result['enqueued_per_second']:,.0f}, finished {result['finished_per_second']:,.0f}",
        "",
        head(),
        *map(line, result["minutes"]),
        "",
        "the second half against the second quarter:",
        f"memory of the worker  {verdict['worker_percent_per_minute']:>+8.2f} % a minute",
        f"size of the table     {verdict['table_percent_per_minute']:>+8.2f} % a minute",
        f"backlog               {verdict['backlog_per_minute']:>+8,.0f} jobs a minute",
        f"latency, p50          {_number(verdict['p50_ratio'], 8, 2)} times",
        f"latency, p99          {_number(verdict['p99_ratio'], 8, 2)} times",
    ]
    if not verdict["producer_kept_up"]:
        lines += [
            "",
            "The producer did not keep up: this is a soak at the rate that was enqueued, not at that asked for.",
        ]
    if not verdict["worker_kept_up"]:
        lines += ["", f"The worker did not keep up: {result['backlog_at_the_end']:,} jobs wait at the end."]
    return "\n".join(lines)


def head() -> str:
    return (
        f"{'minute':>6}{'enqueued/s':>12}{'finished/s':>12}{'backlog':>9}{'worker MiB':>12}{'table MiB':>11}"
        f"{'live rows':>11}{'dead rows':>11}{'p50 ms':>9}{'p99 ms':>9}{'Postgres µs':>13}{'worker µs':>11}"
    )


def line(of: Mapping[str, Any]) -> str:
    return (
        f"{of['until_minute']:>6.1f}{of['enqueued_per_second']:>12,.0f}{of['finished_per_second']:>12,.0f}"
        f"{of['backlog']:>9,.0f}{of['worker_mib']:>12.1f}{of['table_mib']:>11.1f}{of['live_rows']:>11,.0f}"
        f"{of['dead_rows']:>11,.0f}{_number(of['p50_ms'], 9, 1)}{_number(of['p99_ms'], 9, 1)}"
        f"{_number(of['postgres_us'], 13, 1)}{_number(of['worker_us'], 11, 1)}"
    )


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'–':>{width}}" if value is None else f"{value:>{width},.{digits}f}"
