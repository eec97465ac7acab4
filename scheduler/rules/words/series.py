"""Numbers in words: lists, ordinals, runs and steps."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

_A_RUN = 3
"""From so many neighbours on, only the first and the last are named."""
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`; for 1 to 99."""
    ending = "th" if number // 10 == 1 else _ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"


def runs(numbers: Iterable[int]) -> list[range]:
    """The stretches of neighbours among numbers that are in order."""
    found: list[range] = []
    for number in numbers:
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found


def folded(numbers: Iterable[int], names: Sequence[str], to: str = " to ") -> list[str]:
    """The names of the numbers, where three or more neighbours become `first to last`."""
    words: list[str] = []
    for run in runs(numbers):
        if len(run) >= _A_RUN:
            words.append(f"{names[run[0]]}{to}{names[run[-1]]}")
        else:
            words.extend(names[number] for number in run)
    return words


def step(numbers: Sequence[int]) -> int | None:
    """The distance that all of them keep to the next; None where they don't, or are alone."""
    distances = {later - earlier for earlier, later in pairwise(numbers)}
    return distances.pop() if len(distances) == 1 else None


def even_step(numbers: Sequence[int], size: int) -> int | None:
    """The same if they begin at 0 and keep it across the end of a circle of `size`, as 0, 15, 30, 45 do for 60."""
    distance = step([*numbers, size])
    return distance if numbers[0] == 0 else None
