"""What goes wrong, and when: the same for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    KILL_WORKER = "SIGKILL of a worker"
    KILL_SUPERVISOR = "SIGKILL of a supervisor"
    KILL_HANDLER = "SIGKILL of a process for handlers"
    FREEZE = "SIGSTOP of a worker past its lease"
    LATE_OUTCOME = "an outcome that arrives when another runs the job"
    BLACK_HOLE = "a network that swallows everything past the lease"
    CUT = "all connections of a worker cut"
    SLOW = "a slow network"
    LOST_COMMIT = "the answer to a COMMIT lost"
    CUT_COMMIT = "a connection cut before its COMMIT"
    LOST_ANSWER = "the answer to a claim or an outcome lost"
    TERMINATE = "pg_terminate_backend of the scheduler's sessions"
    CRASH_SERVER = "immediate restart of PostgreSQL"
    DATABASE_CLOCK = "the database's clock shifted"
    WORKER_CLOCK = "a worker restarted with a wrong clock"
    FAILPOINT = "a worker that ends between two steps"


@dataclass(frozen=True, slots=True)
class Strike:
    at: float
    """Seconds after the beginning."""
    kind: Kind
    pick: float
    """0 up to 1: which of those that it could be done to."""
    extent: float
    """0 up to 1: how long or how far, within what the kind means."""


def schedule(seed: int, seconds: float, every: float, kinds: Sequence[Kind] = tuple(Kind)) -> tuple[Strike, ...]:
    """One each `every` seconds on average, and each kind as often as any other: once at the least."""
    chance = Random(seed)
    strikes: list[Strike] = []
    at = 0.0
    while at < seconds or len(strikes) < len(kinds):
        for kind in chance.sample(kinds, len(kinds)):
            at += every * chance.uniform(0.5, 1.5)
            strikes.append(Strike(round(at, 3), kind, chance.random(), chance.random()))
            if at >= seconds and len(strikes) >= len(kinds):
                break
    return tuple(strikes)
