"""`scheduler web` and its tokens, as processes."""

import json
import signal
from pathlib import Path

import httpx
import psycopg

from tests.web.process import PATIENCE, command, started


def test_tokens(tmp_path: Path, migrated_url: str) -> None:
    added = command(tmp_path, migrated_url, "web", "token", "add", "ci", "--role", "operator", "--expires", "90d")
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("sched_")
    assert "not shown again" in added.stderr
    assert added.stdout.strip() not in added.stderr
    again = command(tmp_path, migrated_url, "web", "token", "add", "ci")
    assert (again.returncode, "already there" in again.stderr) == (1, True)
    (listed,) = json.loads(command(tmp_path, migrated_url, "web", "token", "list", "--json").stdout)
    assert (listed["name"], listed["role"], listed["expired"]) == ("ci", "operator", False)
    wrong = command(tmp_path, migrated_url, "web", "token", "remove", "cii")
    assert "Did you mean 'ci'?" in wrong.stderr
    assert command(tmp_path, migrated_url, "web", "token", "remove", "ci").returncode == 0
    with psycopg.connect(migrated_url) as connection:
        done = connection.execute("SELECT action, target, application, actor IS NOT NULL FROM job_audit ORDER BY id")
        assert done.fetchall() == [
            ("token.add", "ci", "scheduler command", True),
            ("token.remove", "ci", "scheduler command", True),
        ]


def test_elsewhere_it_does_not_start_without_a_token(tmp_path: Path, migrated_url: str) -> None:
    refused = command(tmp_path, migrated_url, "web", SCHEDULER_WEB__HOST="0.0.0.0")
    assert (refused.returncode, "scheduler web token add" in refused.stderr) == (2, True)
    taken = command(tmp_path, migrated_url, "web", SCHEDULER_WEB__HOST="192.0.2.1", SCHEDULER_WEB__REQUIRE_TOKEN="no")
    assert taken.returncode == 2


def test_it_serves_until_it_is_asked_to_end(tmp_path: Path, migrated_url: str) -> None:
    with started(tmp_path, migrated_url, "web") as (process, url):
        id_ = httpx.post(f"{url}/api/v1/executions", json={"handler": "a"}, timeout=PATIENCE).json()["ids"][0]
        with httpx.stream("GET", f"{url}/api/v1/executions/{id_}/events", timeout=PATIENCE) as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": connected"
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
