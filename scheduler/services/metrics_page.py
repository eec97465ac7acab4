"""metrics_page: what the processes of one `scheduler run` tell, as the page that Prometheus reads."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler import __version__
from scheduler.metrics import Tally, exposition
from scheduler.model import LoopAge
from scheduler.services.health import ProcessHealth, State

STALE_SECONDS: Final = 60.0
"""Values about the database that are older are left out: a gap in a graph says more than a line that goes on."""

Sample = tuple[Sequence[str], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Gauges:
    """What a process tells of itself at one moment."""

    slots: int = 0
    slots_used: int = 0
    pools: Mapping[str, tuple[int, int]] | None = None
    """Of each database: connections in use, and how many there may be."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the database was asked for."""

    samples: Sequence[Sample]
    age: float
    """Seconds."""


def page(
    tally: Tally,
    processes: Sequence[ProcessHealth],
    gauges: Iterable[Gauges],
    measurements: Iterable[Measurement],
) -> str:
    """Of all processes together; of measurements the youngest counts."""
    samples: list[Sample] = [(("scheduler_info", __version__), [1.0]), *tally]
    samples += _of_processes(processes)
    samples += _of_gauges(gauges)
    newest = min(measurements, key=lambda measurement: measurement.age, default=None)
    if newest is not None and newest.age < STALE_SECONDS:
        samples += [*newest.samples, (("scheduler_measured_age_seconds",), [newest.age])]
    return exposition(samples)


def _of_processes(processes: Sequence[ProcessHealth]) -> list[Sample]:
    states = Counter(process.state for process in processes)
    found: list[Sample] = [(("scheduler_processes", state), [float(states[state])]) for state in State]
    oldest: dict[str, LoopAge] = {}
    for process in processes:
        if process.state is State.WORKING:
            for name, loop in process.loops.items():
                oldest[name] = max(oldest.get(name, loop), loop)
    found += [(("scheduler_loop_age_seconds", name), [loop.age]) for name, loop in oldest.items()]
    return found + [(("scheduler_loop_limit_seconds", name), [loop.limit]) for name, loop in oldest.items()]


def _of_gauges(gauges: Iterable[Gauges]) -> list[Sample]:
    slots = used = 0
    in_use, limits = Counter[str](), Counter[str]()
    for each in gauges:
        slots, used = slots + each.slots, used + each.slots_used
        for name, (taken, limit) in (each.pools or {}).items():
            in_use[name] += taken
            limits[name] += limit
    found: list[Sample] = [(("scheduler_slots",), [slots]), (("scheduler_slots_used",), [used])]
    found += [(("scheduler_pool_connections", name), [count]) for name, count in in_use.items()]
    return found + [(("scheduler_pool_limit", name), [count]) for name, count in limits.items()]
