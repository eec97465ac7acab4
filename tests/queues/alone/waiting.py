"""Waits for conditions, with patience; and programs of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0
ROOT = Path(__file__).resolve().parents[3]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for didn't come"
        time.sleep(0.01)


def program(source: str, *arguments: str) -> "subprocess.Popen[str]":
    """A Python of its own that runs this; it has to be waited for."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", source, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def said(process: "subprocess.Popen[str]") -> str:
    """Its next line."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.communicate(timeout=PATIENCE)[1]
    return line
