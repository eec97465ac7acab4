"""`scheduler` processes that serve, in a project of the test's own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


def variables(database_url: str, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    ours = {"PYTHONPATH": str(ROOT), "SCHEDULER_DATABASE_URL": database_url, "SCHEDULER_WEB__PORT": "0"}
    return inherited | ours | more


def command(folder: Path, database_url: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scheduler", *arguments],
        cwd=folder,
        env=variables(database_url, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def started(folder: Path, database_url: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process, and the url that it serves at."""
    told = folder / "log"
    with told.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scheduler", *arguments],
            cwd=folder,
            env=variables(database_url),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process, _served(process, told)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _served(process: subprocess.Popen[bytes], told: Path) -> str:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"served at (http://\S+)/api/v1", told.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(told.read_text())
