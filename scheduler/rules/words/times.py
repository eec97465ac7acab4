"""The time of day in words: `at 02:30`, `every 15 minutes from 09:00 to 17:45`."""

from collections.abc import Sequence

from scheduler.rules.words.series import even_step, folded, listed, runs, step

_HOURS, _SIXTY = 24, 60
_TWO_DIGITS = [f"{number:02}" for number in range(_SIXTY)]
_PAST = [f":{digits}" for digits in _TWO_DIGITS]
_FEW = 4
"""So many times are always listed; more of them only if they follow no pattern."""
_SOME = 6
_WINDOWS = 3
_A_SERIES = 4
"""From so many members on, a series is told by its step."""


def time_words(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> str:
    """Each of them in order, none of them empty. Begins with `at` or `every`; the same numbers give the same words."""
    if seconds[0] == seconds[-1] == 0:
        return _minutely(hours, minutes)
    if len(hours) * len(minutes) * len(seconds) <= _FEW:
        return f"at {listed([_clock(h, m, s) for h in hours for m in minutes for s in seconds])}"
    if len(minutes) == _SIXTY:
        return _secondly(hours, seconds)
    of_the_minute = "" if len(seconds) == 1 else " of the minute"
    return f"{_minutely(hours, minutes)}, {_within_a_minute(seconds)}{of_the_minute}"


def _minutely(hours: Sequence[int], minutes: Sequence[int]) -> str:
    if len(hours) * len(minutes) <= _FEW:
        return f"at {listed([_clock(h, m) for h in hours for m in minutes])}"
    if len(minutes) == 1:
        return _hourly(hours, minutes[0])
    even = even_step(minutes, _SIXTY)
    if even is None and len(hours) == 1:
        return _within_an_hour(minutes, [_clock(hours[0], minute) for minute in range(_SIXTY)])
    if even is None:
        return f"{_within_an_hour(minutes, _PAST)} {_of_hours(hours)}"
    return f"{_every(even, 'minute')}{_windows(hours, _clock(0, minutes[-1])[2:])}"


def _hourly(hours: Sequence[int], minute: int) -> str:
    if len(hours) == _HOURS:
        return "every hour" if minute == 0 else f"every hour at {_PAST[minute]}"
    distance = step(hours)
    if distance is not None:
        return f"{_every(distance, 'hour')} from {_clock(hours[0], minute)} to {_clock(hours[-1], minute)}"
    if len(hours) <= _SOME:
        return f"at {listed([_clock(hour, minute) for hour in hours])}"
    return f"at {_PAST[minute]} {_of_hours(hours)}"


def _secondly(hours: Sequence[int], seconds: Sequence[int]) -> str:
    even, last = even_step(seconds, _SIXTY), f":59:{seconds[-1]:02}"
    if even is not None:
        return f"{_every(even, 'second')}{_windows(hours, last)}"
    if len(seconds) == 1:
        return f"every minute{_windows(hours, ':59')}, {_within_a_minute(seconds)}"
    return f"{_within_a_minute(seconds)} of every minute{_windows(hours, ':59')}"


def _within_an_hour(minutes: Sequence[int], names: Sequence[str]) -> str:
    distance = step(minutes)
    if distance is not None and len(minutes) >= _A_SERIES:
        return f"{_every(distance, 'minute')} from {names[minutes[0]]} to {names[minutes[-1]]}"
    return f"at {listed(folded(minutes, names))}"


def _within_a_minute(seconds: Sequence[int]) -> str:
    if len(seconds) == 1:
        return f"at second {seconds[0]}"
    distance = even_step(seconds, _SIXTY)
    if distance is not None:
        return _every(distance, "second")
    distance = step(seconds)
    if distance is not None and len(seconds) >= _A_SERIES:
        return f"{_every(distance, 'second')} from second {seconds[0]} to {seconds[-1]}"
    return f"at seconds {listed(folded(seconds, [str(second) for second in range(_SIXTY)]))}"


def _windows(hours: Sequence[int], last: str) -> str:
    """` from 09:00 to 17:45`; nothing for the whole day. `last` is the last time of an hour, such as `:45`."""
    if len(hours) == _HOURS:
        return ""
    windows = runs(hours)
    if len(windows) > _WINDOWS:
        return f" {_of_hours(hours)}"
    first = ":00:00" if len(last) > len(":00") else ":00"
    return " " + listed([f"from {run[0]:02}{first} to {run[-1]:02}{last}" for run in windows])


def _of_hours(hours: Sequence[int]) -> str:
    if len(hours) == _HOURS:
        return "of every hour"
    distance = step(hours)
    if distance is not None and distance > 1 and len(hours) >= _A_SERIES:
        return f"of every {_nth(distance)} hour from {_TWO_DIGITS[hours[0]]} to {_TWO_DIGITS[hours[-1]]}"
    word = "hour" if len(hours) == 1 else "hours"
    return f"of the {word} {listed(folded(hours, _TWO_DIGITS))}"


def _nth(distance: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(distance, f"{distance}th")


def _every(distance: int, unit: str) -> str:
    return f"every {unit}" if distance == 1 else f"every {distance} {unit}s"


def _clock(hour: int, minute: int, second: int | None = None) -> str:
    return f"{hour:02}:{minute:02}" + ("" if second is None else f":{second:02}")
