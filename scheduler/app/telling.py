"""Telling: what a process says of itself, to its supervisor or, if it has none, to whoever reads its pages."""

from scheduler.clock import monotonic
from scheduler.database import DatabaseRegistry
from scheduler.services.health import Vitals
from scheduler.services.measurer import Measurer
from scheduler.services.metrics_page import Gauges, Measurement, page
from scheduler.services.reports import Report
from scheduler.services.worker import Worker


class Telling:
    def __init__(self, worker: Worker, vitals: Vitals, measurer: Measurer | None) -> None:
        """`measurer` is None where nobody reads metrics."""
        self.worker, self.vitals, self.measurer = worker, vitals, measurer

    def metrics(self) -> str:
        """The page of a process without a supervisor. From any thread."""
        measurement = self._measurement()
        measurements = [] if measurement is None else [measurement]
        return page(self.worker.meter.tally, self.vitals.health(), [self._gauges()], measurements)

    def report(self) -> Report:
        """To the supervisor, which counts together what was counted since the last one."""
        worker = self.worker
        return Report(
            executions=worker.slots.begun,
            load=worker.slots.load,
            more_waits=worker.more_waits,
            loops=self.vitals.ages(),
            counted=worker.meter.tally.take(),
            gauges=self._gauges(),
            measurement=self._measurement(),
        )

    def measure(self) -> None:
        if self.measurer is not None:
            self.measurer.ask()

    def _gauges(self) -> Gauges:
        databases = [DatabaseRegistry.get(name) for name in DatabaseRegistry.names()]
        return Gauges(
            slots=self.worker.options.pool_size if self.worker.options.queues else 0,
            slots_used=self.worker.slots.used,
            pools={each.name: (each.connections_in_use(), each.connections_at_most()) for each in databases},
        )

    def _measurement(self) -> Measurement | None:
        if self.measurer is None or self.measurer.measured_at is None:
            return None
        return Measurement(self.measurer.measured, monotonic() - self.measurer.measured_at)
