"""`queues publish`, and what `queues list` and `doctor` tell of message queues and consumers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Sql
from tests.queues.servers.redis import RedisServer

LOCAL = """\
drivers: {local: {kind: memory}}
queues: {tasks: {driver: local}}
consumers: {c: {queue: tasks, handler: email, prefetch: 7, auto_start: false}}
"""


@pytest.fixture
def broker(folder: Path) -> Iterator[RedisServer]:
    """And a project with a queue on it."""
    with RedisServer(folder / "redis") as server:
        (folder / "scheduler.yaml").write_text(
            f"drivers: {{broker: {{kind: redis, url: '{server.url}'}}}}\n"
            "queues: {tasks: {driver: broker, options: {durable: false}}}\n"
            "consumers: {c: {queue: tasks, handler: email}}\n"
        )
        yield server


def test_a_message_is_published_and_listed(online: Command, broker: RedisServer, sql: Sql) -> None:
    sql("INSERT INTO job_executions (source, handler_name, concurrency_key) VALUES ('message', 'email', 'consumer:c')")

    assert online("queues", "publish", "tasks", '{"to": "ada"}', "--id", "mail-1").out == "mail-1\n"
    made_up = json.loads(online("queues", "publish", "tasks", "[]", "--delay", "3600", "--json").out)
    assert (made_up["queue"], len(made_up["id"]) > 10) == ("tasks", True)

    found = json.loads(online("queues", "list", "--messages", "--json").out)
    (queue,), (consumer,) = found["message_queues"], found["consumers"]
    assert (queue["waiting"], queue["delayed"], queue["in_flight"], queue["dead"]) == (1, 1, 0, 0)
    assert (consumer["name"], consumer["waiting"], consumer["running"]) == ("c", 1, 0)
    assert isinstance(json.loads(online("queues", "list", "--json").out), list)
    shown = online("queues", "list").out
    assert "tasks          broker (redis)" in shown
    assert "email" in shown


def test_a_broker_that_is_away_is_told_and_keeps_nothing_else_from_being_shown(
    online: Command, broker: RedisServer
) -> None:
    broker.kill()

    assert online("queues", "publish", "tasks", "{}").code == 1
    ran = online("queues", "list", "--messages", "--json")

    (queue,) = json.loads(ran.out)["message_queues"]
    assert (ran.code, queue["waiting"]) == (0, None)
    assert queue["error"]
    findings = json.loads(online("doctor", "--json").out)["findings"]
    assert [each["level"] for each in findings if each["code"] == "message-queues"] == ["error"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("tasks", "{}"), 2, "is in the memory of the process whose consumers read it"),
        (("task", "{}"), 1, "No message queue is configured as 'task'. Did you mean 'tasks'?"),
        (("tasks", "{"), 2, "'{' is not JSON"),
        (("tasks", '"' + "x" * 300_000 + '"'), 1, "and send a reference to it"),
    ],
)
def test_what_cannot_be_published_is_refused(
    online: Command, folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (folder / "scheduler.yaml").write_text(LOCAL)

    ran = online("queues", "publish", *arguments)

    assert (ran.code, ran.out) == (code, "")
    assert said in " ".join(ran.err.replace("│", " ").split())


def test_queues_in_memory_are_no_other_process_s_to_count(online: Command, folder: Path) -> None:
    (folder / "scheduler.yaml").write_text(LOCAL)

    shown = online("queues", "list", "--messages").out

    assert "in the memory of each worker process" in shown
    assert "by --consumer" in shown


def test_a_project_without_message_queues_says_so(online: Command) -> None:
    ran = online("queues", "list", "--messages")

    assert (ran.code, ran.out) == (0, "")
    assert "write one under queues:" in ran.err


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (LOCAL, ("--only", "consumer"), "No consumer starts by itself: write one under consumers:"),
        (LOCAL, ("--consumer", "d"), "No consumer is named 'd' in the settings."),
        (LOCAL.replace("email", "emial"), ("--consumer", "c"), "Did you mean 'email'?"),
    ],
)
def test_consumers_that_cannot_start_are_refused(
    online: Command, folder: Path, text: str, arguments: tuple[str, ...], said: str
) -> None:
    (folder / "scheduler.yaml").write_text(text)

    ran = online("run", "--until-idle", *arguments)

    assert ran.code == 2
    assert said in ran.err
