"""`scheduler web token`, and where `scheduler web` does not start."""

import json

import pytest

from tests.cli.conftest import Command, Sql


def test_tokens(online: Command, sql: Sql) -> None:
    added = online("web", "token", "add", "ci", "--role", "operator", "--expires", "90d")
    assert added.code == 0, added.err
    assert added.out.startswith("sched_")
    assert "not shown again" in added.err
    assert added.out.strip() not in added.err
    again = online("web", "token", "add", "ci")
    assert (again.code, "already there" in again.err) == (1, True)
    (listed,) = json.loads(online("web", "token", "list", "--json").out)
    assert (listed["name"], listed["role"], listed["expired"]) == ("ci", "operator", False)
    assert "Did you mean 'ci'?" in online("web", "token", "remove", "cii").err
    assert online("web", "token", "remove", "ci").code == 0
    done = sql("SELECT action, target, application, actor IS NOT NULL FROM job_audit ORDER BY id")
    assert done == [
        ("token.add", "ci", "scheduler command", True),
        ("token.remove", "ci", "scheduler command", True),
    ]


def test_elsewhere_it_does_not_start_without_a_token(online: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_WEB__HOST", "0.0.0.0")
    refused = online("web")
    assert (refused.code, "scheduler web token add" in refused.err) == (2, True)


def test_an_address_that_is_not_of_this_host(online: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    online("web", "token", "add", "ci")
    monkeypatch.setenv("SCHEDULER_WEB__HOST", "192.0.2.1")
    refused = online("web")
    assert (refused.code, "can't be listened at" in refused.err) == (2, True)
