"""`cron_jobs` in a file: declarations, and what is refused with its line."""

import pytest

from scheduler.config import declared
from tests.config.conftest import Project


def section(job: str) -> str:
    return f"managed_by: billing\ncron_jobs:\n  nightly: {job}\n"


def test_each_is_a_declaration(project: Project) -> None:
    project.write(
        "scheduler.yaml",
        """\
        managed_by: billing
        cron_jobs:
          nightly:
            cron: 0 3 * * *
            timezone: Europe/Berlin
            handler: report
            params: {largest: 20, deep: [1.5, null, {a: true}]}
            starts_at: 2026-03-01
            retry_backoff: linear
          hourly: {cron: "@hourly", handler: email, enabled: false}
        """,
    )
    settings = project.load()
    nightly, hourly = declared(settings.cron_jobs)
    assert settings.managed_by == "billing"
    assert (nightly.name, nightly.where) == ("nightly", "cron_jobs.nightly in the settings")
    expected = {
        "cron_expression": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "handler_name": "report",
        "handler_params": {"largest": 20, "deep": [1.5, None, {"a": True}]},
        "starts_at": "2026-03-01T00:00:00+00:00",
        "retry_backoff": "linear",
        "max_retry": None,
    }
    assert expected.items() <= nightly.columns.items()
    assert "enabled" not in nightly.columns
    assert hourly.columns["enabled"] is False


def test_a_variable_says_otherwise_for_one_place(project: Project) -> None:
    project.write("scheduler.yaml", section('{cron: "@daily", handler: h}'))
    settings = project.load(SCHEDULER_CRON_JOBS__NIGHTLY__ENABLED="false", SCHEDULER_MANAGED_BY="staging")
    assert settings.managed_by == "staging"
    assert settings.cron_jobs["nightly"].enabled is False


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        ('{cron: "61 3 * * *", handler: h}', "cron is refused: The minute field '61' is out of range: use 0 to 59."),
        ('{cron: "0 0 30 2 *", handler: h}', "cron is refused: "),
        ('{cron: "@daily", handler: h, timezone: Asia/Soul}', "timezone is refused: The time zone 'Asia/Soul' is"),
        ('{cron: "@daily"}', "handler is missing; write it."),
        ("{handler: h}", "cron is missing; write it."),
        ('{cron_expression: "@daily", handler: h}',
         "nightly has the key 'cron_expression', which is the name of the column. Did you mean 'cron'?"),
        ('{cron: "@daily", handler_name: h}', "Did you mean 'handler'?"),
        ('{cron: "@daily", handler: h, handler_params: {}}', "Did you mean 'params'?"),
        ('{cron: "@daily", handler: h, prams: {}}', "prams is not a setting. Did you mean 'params'?"),
        ('{cron: "@daily", handler: h, params: [1]}', "params must be a mapping."),
        ('{cron: "@daily", handler: h, params: {at: 2026-01-01}}', "params must be what JSON can hold; put dates"),
        ('{cron: "@daily", handler: h, params: {n: .inf}}', "params must be what JSON can hold"),
        ('{cron: "@daily", handler: h, priority: 10}', "priority must be 9 or less, not 10."),
        ('{cron: "@daily", handler: h, timeout_seconds: yes}', "timeout_seconds must be a number, not true or false."),
        ('{cron: "@daily", handler: h, overlap_policy: both}', "overlap_policy must be 'skip', 'queue', 'allow' or"),
        ('{cron: "@daily", handler: h, starts_at: 2026}', "starts_at must be a time in ISO 8601"),
        ('{cron: "@daily", handler: h, starts_at: soon}', "starts_at must be a time in ISO 8601"),
        ('"@daily"', "nightly must be a mapping with the keys cron, handler, "),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_line(project: Project, job: str, sentence: str) -> None:
    project.write("scheduler.yaml", section(job))
    message = project.refusal()
    assert message.startswith("scheduler.yaml, line 3: cron_jobs.nightly")
    assert sentence in message
    assert message.count("\n") == 0


def test_a_name_that_is_too_long_for_a_row(project: Project) -> None:
    project.write("scheduler.yaml", f"cron_jobs: {{{'x' * 201}: {{cron: '@daily', handler: h}}}}")
    assert "must be a name of 1 to 200 bytes" in project.refusal()
