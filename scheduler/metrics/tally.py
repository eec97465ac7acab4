"""tally: numbers that only grow, by metric and labels. What it holds can be taken out, sent, and added to another."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from scheduler.metrics.catalogue import CATALOGUE

Key = tuple[str, ...]
"""The name of a metric, then the values of its labels in the order of the catalogue."""
Increments = list[tuple[Key, list[float]]]
"""By how much each grew: one number for a counter; for a histogram the sum, then how many fell in each bucket."""


class Tally:
    """Written to by one thread. May be read from any."""

    def __init__(self) -> None:
        self._cells: dict[Key, list[float]] = {}

    def count(self, *key: str, by: float = 1.0) -> None:
        cell = self._cells.get(key)
        if cell is None:
            self._cells[key] = [by]
        else:
            cell[0] += by

    def observe(self, *key: str, values: Iterable[float]) -> None:
        """Of a histogram: each of them falls in the first bucket that is no smaller."""
        buckets = CATALOGUE[key[0]].buckets
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = [0.0] * (len(buckets) + 2)
        for value in values:
            cell[0] += value
            cell[bisect_left(buckets, value) + 1] += 1

    def take(self) -> Increments:
        """All that was counted since the last call, which is then no longer here."""
        taken, self._cells = self._cells, {}
        return list(taken.items())

    def add(self, increments: Sequence[tuple[Sequence[str], Sequence[float]]]) -> None:
        """What another has taken out."""
        for key, numbers in increments:
            cell = self._cells.setdefault(tuple(key), [0.0] * len(numbers))
            for at, number in enumerate(numbers):
                cell[at] += number

    def __iter__(self) -> Iterator[tuple[Key, list[float]]]:
        return iter([(key, list(cell)) for key, cell in list(self._cells.items())])
