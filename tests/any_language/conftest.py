"""The workers of docs/any-language.md, as they are printed there."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.faults.harness import CHECKOUT, PATIENCE_SECONDS, Scene

PAGE: Final = CHECKOUT / "docs" / "any-language.md"
NODE_PATH: Final = os.pathsep.join(
    [os.environ.get("NODE_PATH", ""), str(CHECKOUT / "node_modules"), "/usr/share/nodejs"]
)


def printed(language: str) -> str:
    """The one block in this language that has a worker in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (block,) = [str(block) for block in blocks if "register_worker" in block]
    return block


@cache
def node_is_here() -> bool:
    environment = {**os.environ, "NODE_PATH": NODE_PATH}
    try:
        asked = subprocess.run(["node", "-e", "require('pg')"], env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return asked.returncode == 0


class NodeWorker:
    def __init__(self, folder: Path, url: str, handlers: str | None) -> None:
        text = printed("javascript")
        if handlers is not None:
            text, replaced = re.subn(r"^const handlers = .*$", lambda _: handlers, text, flags=re.MULTILINE)
            assert replaced == 1
        (folder / "worker.js").write_text(text, encoding="utf-8")
        self.log = folder / "node.log"
        self._output = self.log.open("w")
        self.process = subprocess.Popen(
            ["node", "worker.js"],
            cwd=folder,
            env={**os.environ, "NODE_PATH": NODE_PATH, "SCHEDULER_DATABASE_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def send(self, number: signal.Signals) -> int:
        """The exit status after this signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._output.close()
        print(f"--- log of the Node worker ---\n{self.log.read_text()}")


Node = Callable[..., NodeWorker]


@pytest.fixture
def scene(migrated_url: str, tmp_path: Path) -> Iterator[Scene]:
    """A project with the handler `shout`, and its database under audit."""
    with Scene(tmp_path / "project", migrated_url) as scene:
        shutil.copy(Path(__file__).with_name("python_jobs.py"), scene.folder / "handlers")
        yield scene


@pytest.fixture
def node(scene: Scene) -> Iterator[Node]:
    """`node(handlers)` starts the worker of the page, with other handlers than it has there if some are given."""
    if not node_is_here():
        pytest.skip("Node or its package pg isn't here: `npm install pg`, or `apt-get install nodejs node-pg`.")
    started: list[NodeWorker] = []

    def start(handlers: str | None = None) -> NodeWorker:
        started.append(NodeWorker(scene.folder, scene.url, handlers))
        return started[-1]

    yield start
    for worker in started:
        worker.close()


@pytest.fixture
def psql(scene: Scene) -> Callable[[], None]:
    """Runs the script of the page once."""
    if shutil.which("psql") is None:
        pytest.skip("psql isn't here: `apt-get install postgresql-client`.")
    (scene.folder / "worker.sql").write_text(printed("sql"), encoding="utf-8")

    def run() -> None:
        command = ["psql", scene.url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "worker.sql"]
        ran = subprocess.run(command, cwd=scene.folder, capture_output=True, text=True, check=False, timeout=100)
        assert ran.returncode == 0, ran.stderr

    return run
