"""What metrics tell about the job database, for processes that run no work."""

from scheduler.metrics import exposition
from scheduler.store.measuring import measure_sync
from scheduler.store.session import SyncSession


def database_metrics(session: SyncSession) -> str:
    """A page of Prometheus' text format. Costs up to some milliseconds a queue: keep it for a few seconds."""
    return exposition(measure_sync(session))
