"""How long a failed execution waits before its next try."""

from scheduler.model import Backoff

MAX_DELAY_SECONDS = 86_400.0
_JITTER = 0.1
_MAX_DOUBLINGS = 40


def delay_seconds(backoff: Backoff | str, unit: float, failures: int) -> float:
    """Seconds to wait after the `failures`-th failure (≥ 1), without jitter; at most a day.

    Fixed waits `unit` each time, linear `unit × n`, exponential `unit × 2^(n-1)`.
    """
    match Backoff(backoff):
        case Backoff.FIXED:
            factor = 1.0
        case Backoff.LINEAR:
            factor = float(failures)
        case Backoff.EXPONENTIAL:
            factor = 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
    return min(MAX_DELAY_SECONDS, unit * factor)


def jittered(seconds: float, chance: float) -> float:
    """`seconds` ±10 %, where `chance` in [0, 1) picks the place within that span."""
    return seconds * (1 - _JITTER + 2 * _JITTER * chance)
