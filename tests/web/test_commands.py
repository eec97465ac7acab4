"""`scheduler web` as a process."""

import signal
from pathlib import Path

import httpx

from tests.web.process import PATIENCE, started


def test_it_serves_until_it_is_asked_to_end(tmp_path: Path, migrated_url: str) -> None:
    with started(tmp_path, migrated_url, "web") as (process, url):
        id_ = httpx.post(f"{url}/api/v1/executions", json={"handler": "a"}, timeout=PATIENCE).json()["ids"][0]
        with httpx.stream("GET", f"{url}/api/v1/executions/{id_}/events", timeout=PATIENCE) as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": connected"
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
