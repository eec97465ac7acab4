"""What `@handler(…, cron=…)` declares, and refuses in a sentence with its place."""

import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.config import CronJobSettings
from scheduler.errors import ConfigurationError
from scheduler.handlers import Cron, HandlerOptions, HandlerSpec, declare


def report(params: dict[str, Any]) -> None: ...


def spec(cron: object) -> HandlerSpec:
    return declare("report", report, "jobs.py:7", HandlerOptions(cron=cron))  # type: ignore[typeddict-item]  # wrong ones too


def test_a_handler_without_cron_declares_nothing() -> None:
    assert declare("report", report, "jobs.py:7", {}).cron_jobs == ()
    assert spec(None).cron_jobs == spec([]).cron_jobs == ()


def test_an_expression_is_a_cron_job_of_the_name_of_its_handler() -> None:
    (job,) = spec("0 3 * * *").cron_jobs
    assert (job.name, job.where) == ("report", "jobs.py:7")
    said = {"cron_expression": "0 3 * * *", "handler_name": "report", "timezone": "UTC", "handler_params": {}}
    assert said.items() <= job.columns.items()
    assert "enabled" not in job.columns


def test_several_have_names_of_their_own() -> None:
    jobs = spec(["@hourly", Cron("@daily", name="daily", params={"whole": True}, enabled=False)]).cron_jobs
    assert [job.name for job in jobs] == ["report", "daily"]
    assert (jobs[1].columns["handler_params"], jobs[1].columns["enabled"]) == ({"whole": True}, False)


@pytest.mark.parametrize(
    "given",
    [
        datetime(2026, 3, 1, 3, tzinfo=UTC),
        datetime.fromisoformat("2026-03-01T03:00"),
        "2026-03-01T03:00",
        "2026-03-01T12:00+09:00",
    ],
)
def test_times_are_in_utc(given: Any) -> None:
    assert spec(Cron("@daily", starts_at=given)).cron_jobs[0].columns["starts_at"] == "2026-03-01T03:00:00+00:00"


def test_both_ways_to_declare_have_the_same_fields() -> None:
    here = {field.name: getattr(Cron("@daily"), field.name) for field in fields(Cron)}
    there = CronJobSettings(cron="@daily", handler="report").model_dump()
    assert {**here, "handler": "report"} == {**there, "name": None}


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("61 * * * *", "cron is refused: The minute field '61' is out of range: use 0 to 59."),
        (Cron("@daily", timezone="Asia/Soul"), "cron.timezone is refused: The time zone 'Asia/Soul' is unknown"),
        (Cron("@daily", timezone="Asia/Soul"), "Did you mean 'Asia/Seoul'?"),
        (Cron("@daily", priority=10), "cron.priority is refused: Input should be less than or equal to 9."),
        (Cron("@daily", priority=True), "cron.priority must be a number, not true or false."),
        (Cron("@daily", name="x" * 201), "cron.name must be a name of 1 to 200 bytes."),
        (Cron("@daily", name=""), "cron.name must be a name of 1 to 200 bytes."),
        (Cron("@daily", params={"at": datetime(2026, 1, 1, tzinfo=UTC)}), "cron.params must be what JSON can hold"),
        (Cron("@daily", params={"n": float("nan")}), "cron.params must be what JSON can hold"),
        (Cron("@daily", overlap_policy="both"), "cron.overlap_policy is refused: Input should be 'skip', 'queue'"),  # type: ignore[arg-type]
        (Cron("@daily", starts_at=2026), "cron.starts_at must be a time in ISO 8601"),  # type: ignore[arg-type]
        (Cron("@daily", jitter_seconds=float("inf")), "cron.jitter_seconds is refused: Input should be less than"),
        (7, 'cron can\'t be 7: write an expression such as "0 3 * * *", a Cron(…), or a list of them.'),
        (["@daily", None], "cron can't be None: "),
        (["@daily", "@hourly"], "declares two cron jobs named 'report': give each a name of its own"),
    ],
)
def test_what_can_not_work_is_refused_in_a_sentence(cron: object, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)) as refused:
        spec(cron)
    assert str(refused.value).startswith("Handler 'report' (jobs.py:7)")
