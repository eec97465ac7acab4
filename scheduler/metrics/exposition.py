"""exposition: samples as text of Prometheus' format 0.0.4, in the order of the catalogue, then of the labels."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import Final

from scheduler.metrics.catalogue import CATALOGUE, Kind, Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_UNTOLD: Final = str.maketrans({chr(code): "\ufffd" for code in range(0xD800, 0xE000)})


def exposition(samples: Iterable[tuple[Sequence[str], Sequence[float]]]) -> str:
    """A page of these samples, each a key and its numbers as in `Tally`. Of equal keys the last one counts."""
    order = {name: at for at, name in enumerate(CATALOGUE)}
    latest = {tuple(key): numbers for key, numbers in samples}
    ordered = sorted(latest.items(), key=lambda sample: (order[sample[0][0]], sample[0]))
    lines: list[str] = []
    for name, group in groupby(ordered, key=lambda sample: sample[0][0]):
        metric = CATALOGUE[name]
        lines += [f"# HELP {name} {_help(metric)}", f"# TYPE {name} {metric.kind}"]
        for key, numbers in group:
            lines += _histogram(metric, key, numbers) if metric.kind is Kind.HISTOGRAM else _line(metric, key, numbers)
    return "".join(f"{line}\n" for line in lines)


def _help(metric: Metric) -> str:
    return metric.help.replace("\\", r"\\").replace("\n", r"\n")


def _line(metric: Metric, key: Sequence[str], numbers: Sequence[float]) -> Iterator[str]:
    yield f"{metric.name}{_labels(metric, key)} {_number(numbers[0])}"


def _histogram(metric: Metric, key: Sequence[str], numbers: Sequence[float]) -> Iterator[str]:
    """The buckets are told with those below them, as the format wants it."""
    total, *counts = numbers
    for bound, count in zip((*metric.buckets, math.inf), accumulate(counts), strict=True):
        yield f"{metric.name}_bucket{_labels(metric, key, ('le', _number(bound)))} {_number(count)}"
    yield f"{metric.name}_sum{_labels(metric, key)} {_number(total)}"
    yield f"{metric.name}_count{_labels(metric, key)} {_number(sum(counts))}"


def _labels(metric: Metric, key: Sequence[str], *more: tuple[str, str]) -> str:
    pairs = [*zip(metric.labels, key[1:], strict=True), *more]
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.translate(_UNTOLD).translate(_ESCAPED)


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
