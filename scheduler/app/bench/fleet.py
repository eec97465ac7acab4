"""The worker processes of a benchmark, as their parent sees them."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from select import select
from typing import IO, Final

from scheduler.errors import BenchmarkError

_PATIENCE_SECONDS: Final = 60.0
"""For an answer: a worker that finds no connection tries for ever."""
_END_SECONDS: Final = 10.0
"""How long one may take to end, which holds nothing that anybody needs."""


class Fleet:
    """Workers that are ready."""

    def __init__(self, folder: Path, schema: str, processes: int, errors: IO[str]) -> None:
        self._errors = errors
        command = [sys.executable, "-m", "scheduler.app.bench.worker", schema]
        self._processes: list[subprocess.Popen[str]] = []
        for _ in range(processes):
            # In a process group of its own, so that Ctrl-C reaches the parent alone, which ends them in its own time.
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                process_group=0,
            )
            self._processes.append(process)

    def until_ready(self) -> None:
        """Raises BenchmarkError, as all of these do, when one has ended."""
        for process in self._processes:
            self._line(process)

    def cpu_seconds(self) -> float:
        """What all of them have used until now."""
        return sum(self._asked(process) for process in self._processes)

    def require_alive(self) -> None:
        if any(process.poll() is not None for process in self._processes):
            raise self._ended()

    def close(self) -> None:
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):  # it has ended
                        stream.close()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            process.kill()
            process.wait()

    def _asked(self, process: subprocess.Popen[str]) -> float:
        assert process.stdin is not None
        try:
            process.stdin.write("\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        return float(self._line(process))

    def _line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        if not select([process.stdout], [], [], _PATIENCE_SECONDS)[0]:
            said = self._last_words()
            raise BenchmarkError(f"A worker process of the benchmark is silent for {_PATIENCE_SECONDS:g} s: {said}")
        if not (line := process.stdout.readline()):
            raise self._ended()
        return line

    def _ended(self) -> BenchmarkError:
        return BenchmarkError(f"A worker process of the benchmark has ended: {self._last_words()}")

    def _last_words(self) -> str:
        self._errors.seek(0)
        return (self._errors.read().strip().splitlines() or ["it said nothing"])[-1]


@contextmanager
def fleet(folder: Path, schema: str, processes: int) -> Iterator[Fleet]:
    """So many worker processes, ready to work on the schema, gone afterwards."""
    with ExitStack() as stack:
        errors = stack.enter_context(tempfile.TemporaryFile("w+"))
        workers = Fleet(folder, schema, processes, errors)
        stack.callback(workers.close)
        workers.until_ready()
        yield workers
