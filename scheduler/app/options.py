"""What a worker and its heartbeat are told, as plain values: services never see the settings."""

import os
import socket
from uuid import UUID

from scheduler import __version__
from scheduler.config.settings import WorkerSettings
from scheduler.services.options import WorkerOptions
from scheduler.store.workers import Registration


def worker_options(settings: WorkerSettings, *, works: bool, supervised: bool) -> WorkerOptions:
    """One that doesn't work claims from no queue."""
    least, most = settings.process_range
    return WorkerOptions(
        queues=tuple(settings.queues) if works else (),
        pool_size=settings.pool_size,
        poll_interval_seconds=settings.poll_interval_seconds,
        claim_batch_size=settings.claim_batch_size,
        claim_batch_max=settings.claim_batch_max,
        lease_seconds=settings.lease_seconds,
        tells_more_waits=supervised and least < most,
    )


def registration(options: WorkerOptions) -> Registration:
    """As this process; the heartbeat gives it an id, and a new one with each lease."""
    host = socket.gethostname()
    return Registration(
        id=UUID(int=0),
        name=f"{host}:{os.getpid()}",
        hostname=host,
        pid=os.getpid(),
        queues=tuple(options.queues),
        pool_size=options.pool_size if options.queues else 0,
        lease=options.lease_seconds,
        version=__version__,
    )
