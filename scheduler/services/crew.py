"""crew: what a supervisor is told, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crew:
    """How many workers there are, and what is asked of them."""

    least: int = 1
    most: int = 1
    lease_seconds: float = 30.0
    shutdown_seconds: float = 30.0
    """How long one may take to finish its work after the first signal."""
    max_executions: int | None = None
    """After so many executions a worker is replaced and retired; None: never."""
    until_idle: bool = False
    """Those that end by themselves are not replaced."""
    measures: bool = False
    """One of them asks the database, every few seconds, what metrics tell about it."""
