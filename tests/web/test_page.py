"""docs/http-api.md: its commands, run as they are printed, and its table of problems."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.web.problems import KINDS
from tests.web.process import PATIENCE, command, started, variables

PAGE = (Path(__file__).resolve().parents[2] / "docs/http-api.md").read_text(encoding="utf-8")
README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
NOT_RUN = ("pip ", "scheduler run", "scheduler db psql")
"""What installs, what is running already, and what needs psql."""


def printed() -> list[tuple[str, list[str]]]:
    """(command, lines of its answer), in the order of the page."""
    found = list[tuple[str, list[str]]]()
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


def handler() -> str:
    (text,) = [
        block for block in re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE) if '"greet"' in block
    ]
    return str(text)


def missing(said: str, wanted: list[str]) -> list[str]:
    """The lines that don't come, in this order; … stands for anything."""
    left = said.splitlines()
    for place, line in enumerate(wanted):
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        at = next((n for n, each in enumerate(left) if pattern.fullmatch(each)), None)
        if at is None:
            return wanted[place:]
        left = left[at + 1 :]
    return []


def test_its_commands(tmp_path: Path, migrated_url: str) -> None:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "greet.py").write_text(handler(), encoding="utf-8")
    token = command(tmp_path, migrated_url, "web", "token", "add", "page").stdout.strip()
    programs = tmp_path / "bin"
    programs.mkdir()
    scheduler = programs / "scheduler"
    scheduler.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scheduler "$@"\n')
    scheduler.chmod(0o755)
    ran = 0
    with started(tmp_path, migrated_url, "run", "--web") as (_, url):
        for line, wanted in printed():
            if line.startswith(NOT_RUN):
                continue
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", line.replace("http://127.0.0.1:8080", url)],
                cwd=tmp_path,
                env=variables(migrated_url, TOKEN=token, PATH=f"{programs}:{os.environ['PATH']}"),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert missing(done.stdout, wanted) == [], (line, done.stdout, done.stderr)
            ran += 1
    assert ran == 10


def test_its_problems() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(kind, str(of.status), of.title) for kind, of in KINDS.items()]


@pytest.mark.parametrize("said", ["a", ""])
def test_a_line_that_does_not_come_is_missed(said: str) -> None:
    assert missing(said, ["b…"]) == ["b…"]
