"""A RabbitMQ that the processes of a test run share: the first starts it, which takes seconds, and the last ends it.

A keeper of its own, which outlives whoever started it, holds the node and starts it again when a test has killed it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest

from scheduler.embedded.locks import FileLock
from tests.queues.servers.rabbitmq import MISSING, PASSWORD, PATIENCE_SECONDS, USER, RabbitServer, programs

CHECKOUT = Path(__file__).parents[3]
_LOOK_SECONDS = 0.1


class SharedRabbit:
    """Joined for as long as the context lasts. All who name the same folder share a node."""

    def __init__(self, folder: Path) -> None:
        if programs() is None:
            pytest.skip(MISSING)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._users = FileLock(folder / "users.lock")

    def __enter__(self) -> Self:
        with FileLock(self._folder / "door.lock") as door:
            door.wait(time.monotonic() + 2 * PATIENCE_SECONDS)
            self._users.acquire(shared=True)
            if not self._facts_file.exists():
                self._start_keeper()
        return self

    def __exit__(self, *_: object) -> None:
        self._users.close()

    @property
    def url(self) -> str:
        return self._url("amqp", "port")

    def tls_url(self, *, trusting: bool = True) -> str:
        """With a client's certificate, which the node demands."""
        folder = self.facts["certificates"]
        client = f"certfile={folder}/client.pem&keyfile={folder}/client.key"
        authority = f"&cafile={folder}/authority.pem" if trusting else ""
        return f"{self._url('amqps', 'tls_port')}?{client}{authority}"

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._facts_file.read_text())
        return found

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While one test breaks it, those that also ask for it alone wait."""
        with FileLock(self._folder / "alone.lock") as lock:
            assert lock.wait(time.monotonic() + 2 * PATIENCE_SECONDS)
            yield

    def kill(self) -> None:
        """As by the kernel.

        What was declared is on disk then: a quorum queue whose node dies in its first seconds may never have a leader.
        """
        self._evaluate("lists:foreach(fun dets:sync/1, dets:all()).")
        os.kill(self.facts["pid"], signal.SIGKILL)

    def until_up_again(self, killed: int) -> None:
        """`killed` is the process id it had before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.facts["pid"] == killed:
            assert time.monotonic() < deadline, "RabbitMQ didn't come back"
            time.sleep(_LOOK_SECONDS)

    def allow_memory(self, share: str) -> str:
        """The share of the machine's memory above which it takes no messages; what it was before."""
        before = self._evaluate("vm_memory_monitor:get_vm_memory_high_watermark().")
        self._evaluate(f"vm_memory_monitor:set_vm_memory_high_watermark({share}).")
        return before

    def _evaluate(self, code: str) -> str:
        """In the node, as rabbitmqctl does, which itself takes seconds to start."""
        facts = self.facts
        command = ["erl_call", "-c", facts["cookie"], "-address", facts["node"], "-timeout", "20", "-e"]
        said = subprocess.run(command, input=f"{code}\n", capture_output=True, text=True, check=True).stdout.strip()
        assert said.startswith("{ok, "), said
        return said.removeprefix("{ok, ").removesuffix("}")

    @property
    def _facts_file(self) -> Path:
        return self._folder / "facts.json"

    def _url(self, scheme: str, port: str) -> str:
        return f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@localhost:{self.facts[port]}/"

    def _start_keeper(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        with (self._folder / "keeper.log").open("ab") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", __name__, self._folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._facts_file.exists():
            assert keeper.poll() is None, (self._folder / "keeper.log").read_text()
            assert time.monotonic() < deadline, "RabbitMQ didn't start in time"
            time.sleep(_LOOK_SECONDS)
        keeper.returncode = 0  # it isn't ours to wait for


def shared_folder(base: Path, name: str) -> Path:
    """The same for all xdist workers of a run, given what is one worker's own."""
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name


def keep(folder: Path) -> None:
    """Keep a node running until nobody uses it any more."""
    with RabbitServer(folder / "node") as server:
        _tell(folder, server)
        with FileLock(folder / "users.lock") as users, FileLock(folder / "door.lock") as door:
            while not (door.acquire() and users.acquire()):
                door.release()
                if not server.is_running:
                    server.start()
                    _tell(folder, server)
                time.sleep(_LOOK_SECONDS)
            (folder / "facts.json").unlink()


def _tell(folder: Path, server: RabbitServer) -> None:
    draft = folder / "facts.draft"
    draft.write_text(json.dumps(server.facts))
    draft.rename(folder / "facts.json")


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
