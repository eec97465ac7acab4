"""What is declared in all of a project, checked before anything is compared."""

import re
from typing import Any

import pytest
from pydantic import BaseModel

from scheduler.errors import ConfigurationError
from scheduler.handlers import HandlerRegistry, declare
from scheduler.handlers.cron import Cron, declaration
from scheduler.model import DeclaredCronJob
from scheduler.operations.declared import gather
from tests.operations.declaring import job


class Letter(BaseModel):
    to: str


def h(params: dict[str, Any]) -> None: ...


def send(params: Letter) -> None: ...


HANDLERS = HandlerRegistry([declare("h", h, "handlers/h.py:1", {}), declare("send", send, "handlers/send.py:1", {})])


def refusal(*jobs: DeclaredCronJob, managed_by: str | None = "ours") -> str:
    with pytest.raises(ConfigurationError) as refused:
        gather(jobs, HANDLERS, managed_by)
    return str(refused.value)


def sent(name: str, **params: Any) -> DeclaredCronJob:
    return declaration(name, "send", Cron("@daily", params=params), "handlers/send.py:1")


def test_all_of_them_by_name() -> None:
    gathered = gather([sent("b", to="ada"), job("a")], HANDLERS, "ours")
    assert (gathered.managed_by, [job.name for job in gathered.cron_jobs]) == ("ours", ["a", "b"])
    assert gather([], HANDLERS, "ours").cron_jobs == ()


def test_an_owner_has_to_be_named() -> None:
    assert "write `managed_by: NAME` into the settings" in refusal(job("a"), managed_by=None)
    assert refusal(managed_by=None).startswith("No cron job is declared: ")


def test_a_name_that_is_declared_twice_is_refused_with_both_places() -> None:
    twice = refusal(job("a"), declaration("a", "h", Cron("@daily"), "handlers/h.py:7"))
    assert (
        twice
        == "The cron job 'a' is declared twice: at cron_jobs.a in the settings, and at handlers/h.py:7. Rename one."
    )


def test_a_handler_that_is_not_there_is_refused() -> None:
    message = refusal(declaration("a", "snd", Cron("@daily"), "cron_jobs.a in the settings"))
    assert message.startswith("The cron job 'a' (cron_jobs.a in the settings) can't run. No handler is registered as")
    assert "Did you mean 'send'?" in message


def test_params_that_the_handler_would_refuse_are_refused() -> None:
    assert re.search(
        r"'a' \(handlers/send.py:1\) can't run. The params don't fit handler 'send': to: ", refusal(sent("a"))
    )


def test_one_that_ends_before_it_starts_is_refused() -> None:
    late = {"starts_at": "2030-01-01T00:00:00+00:00", "ends_at": "2029-01-01T00:00:00+00:00"}
    assert "ends before it starts" in refusal(job("a", **late))


def test_all_problems_are_told_at_once() -> None:
    header, *lines = refusal(sent("a"), job("b"), job("b"), sent("c", to=1)).splitlines()
    assert header == "The declared cron jobs have 3 problems:"
    assert [line[:4] for line in lines] == ["  - "] * 3
