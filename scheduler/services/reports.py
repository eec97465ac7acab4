"""reports: what a supervised worker says of itself from its event loop, and what its supervisor answers."""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from scheduler.model import LoopAge

INTERVAL_SECONDS: Final = 0.5
RETIRE: Final = b"R"
"""The supervisor's only word: take no more, and end when what runs has ended."""


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

    @classmethod
    def read(cls, line: bytes) -> "Report":
        values = json.loads(line)
        values["loops"] = {name: LoopAge(*age) for name, age in values["loops"].items()}
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
        orphaned: Callable[[], None],
    ) -> None:
        """`retire` is called when the supervisor asks for it, `orphaned` when it is gone."""
        os.set_blocking(descriptor, False)
        self._descriptor, self._report = descriptor, report
        self._retire, self._orphaned = retire, orphaned

    async def round(self) -> None:
        try:
            os.write(self._descriptor, self._report().line())
            self._heard(os.read(self._descriptor, 64))
        except BlockingIOError:
            pass  # it has said nothing; or it is stopped itself, and will find more than enough reports
        except OSError:
            self._orphaned()
        await asyncio.sleep(INTERVAL_SECONDS)

    def _heard(self, answer: bytes) -> None:
        if not answer:
            self._orphaned()
        elif RETIRE in answer:
            self._retire()
