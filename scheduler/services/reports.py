"""reports: what a supervised worker says of itself from its event loop, and what its supervisor answers."""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Final

from scheduler.metrics import Increments
from scheduler.model import LoopAge
from scheduler.services.metrics_page import Gauges, Measurement

INTERVAL_SECONDS: Final = 0.5
RETIRE: Final = b"R"
"""A word of the supervisor: take no more, and end when what runs has ended."""
MEASURE: Final = b"M"
"""Its other word: ask the database what metrics tell about it."""


@dataclass(frozen=True, slots=True)
class Report:
    executions: int
    """Attempts that have begun since the start."""
    load: float
    """The part of its slots that are taken, 0 to 1."""
    more_waits: bool
    """More is waiting than it could take."""
    loops: Mapping[str, LoopAge]
    """How its loops are."""
    counted: Increments = field(default_factory=list)
    """Since the report before this one."""
    gauges: Gauges = field(default_factory=Gauges)
    measurement: Measurement | None = None

    @classmethod
    def read(cls, line: bytes) -> "Report":
        values = json.loads(line)
        values["loops"] = {name: LoopAge(*age) for name, age in values["loops"].items()}
        values["gauges"] = Gauges(**values.get("gauges", {}))
        measurement = values.get("measurement")
        values["measurement"] = Measurement(**measurement) if measurement else None
        return cls(**values)

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


class Reports:
    def __init__(
        self,
        descriptor: int,
        report: Callable[[], Report],
        *,
        retire: Callable[[], None],
        measure: Callable[[], None],
        orphaned: Callable[[], None],
    ) -> None:
        """`retire` and `measure` are called when the supervisor asks for it, `orphaned` when it is gone."""
        os.set_blocking(descriptor, False)
        self._descriptor, self._report = descriptor, report
        self._retire, self._measure, self._orphaned = retire, measure, orphaned
        self._unsent = b""
        """Of the last report: it is sent to its end before there is another, for what was counted is told but once."""

    async def round(self) -> None:
        try:
            self._send()
            self._heard(os.read(self._descriptor, 64))
        except BlockingIOError:
            pass  # it has said nothing; or it is stopped itself, and will find more than enough reports
        except OSError:
            self._orphaned()
        await asyncio.sleep(INTERVAL_SECONDS)

    def last(self) -> None:
        """What has been counted until now, as far as the supervisor takes it."""
        with suppress(OSError):
            while self._unsent:
                self._write()
            self._unsent = self._report().line()
            while self._unsent:
                self._write()

    def _send(self) -> None:
        self._unsent = self._unsent or self._report().line()
        self._write()

    def _write(self) -> None:
        self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]

    def _heard(self, answer: bytes) -> None:
        if not answer:
            self._orphaned()
            return
        if RETIRE in answer:
            self._retire()
        if MEASURE in answer:
            self._measure()
