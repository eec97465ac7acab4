"""Texts that mean something to SQL, to formats and to shells are stored and shown as they are typed."""

import json

import psycopg
import pytest

from tests.cli.conftest import Command

TEXTS = [
    "'; DROP TABLE job_executions; --",
    "%s %(id)s %%",
    "{} {0} {s} {name!r}",
    "\\ \\\\ \\n \\u0000 \\x1b",
    "$1 $$ $(touch owned) `touch owned`",
    "\" \\\" ''",
    "[red]markup[/red] [/]",
    " a blank at either end ",
    "=1+1",
    "한국어 \N{GRINNING FACE} e\N{COMBINING ACUTE ACCENT}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_an_execution_keeps_every_text(online: Command, migrated_url: str, text: str) -> None:
    params = json.dumps({"a": text, text: "b"})
    enqueued = online("jobs", "enqueue", "email", params, "--queue", text, "--unique-key", text)
    assert enqueued.code == 0, enqueued.err
    (id_,) = enqueued.out.split()
    assert online("jobs", "cancel", id_, "--reason", text).code == 0
    shown = json.loads(online("jobs", "show", id_, "--json").out)
    assert shown["handler_params"] == {"a": text, text: "b"}
    assert [shown[name] for name in ("queue", "unique_key", "cancel_reason", "error")] == [text] * 4
    (listed,) = json.loads(online("jobs", "list", "--queue", text, "--json").out)
    assert listed["queue"] == text
    with psycopg.connect(migrated_url) as connection:
        stored = connection.execute("SELECT handler_params, queue, unique_key, cancel_reason FROM job_executions")
        assert stored.fetchone() == ({"a": text, text: "b"}, text, text, text)


@pytest.mark.parametrize("text", TEXTS)
def test_a_cron_job_keeps_every_text(online: Command, text: str) -> None:
    params = json.dumps({"a": text})
    added = online(
        "cron", "add", text, "@daily", "email", "--description", text, "--queue", text, "--params", params
    )  # fmt: skip
    assert added.code == 0, added.err
    shown = json.loads(online("cron", "show", text, "--json").out)
    assert [shown[name] for name in ("name", "description", "queue")] == [text] * 3
    assert shown["handler_params"] == {"a": text}
    assert online("queues", "pause", text, "--reason", text).code == 0
    (queue,) = (row for row in json.loads(online("queues", "list", "--json").out) if row["name"] == text)
    assert queue["paused_reason"] == text
    refused = online("cron", "add", text, "@daily", "email")
    assert refused.code == 1
    assert "Traceback" not in refused.err
