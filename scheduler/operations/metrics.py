"""What metrics tell about the job database, for processes that run no work."""

from scheduler import __version__
from scheduler.metrics import exposition
from scheduler.store.measuring import Measured, measure_sync
from scheduler.store.session import SyncSession


def measured(session: SyncSession) -> Measured:
    """Values of now. Costs up to some milliseconds a queue: keep it for a few seconds. Raises as `ask()` does."""
    return measure_sync(session)


def database_metrics(samples: Measured, age: float) -> str:
    """A page of Prometheus' text format; `age` is how many seconds ago they were measured."""
    return exposition(
        [(("scheduler_info", __version__), [1.0]), *samples, (("scheduler_measured_age_seconds",), [age])]
    )
