"""The setting `retention`, as the rules that the pruner goes by and as the words at the start."""

import pytest

from scheduler.app.retention import in_words, rules_of
from scheduler.model import Status
from scheduler.rules.retention import Keep
from tests.config.conftest import Project

DEFAULTS = (
    "CANCELLED after 30 days, FAILED after 90 days, SKIPPED after 30 days, SUCCESS after 30 days, TIMEOUT after 90 days"
)


def test_the_defaults_are_said_in_full(project: Project) -> None:
    rules = rules_of(project.load().retention)
    assert in_words(rules) == DEFAULTS
    assert (rules.unique_forever_days, rules.workers_days, rules.messages_days) == (None, 7, 90)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "{SUCCESS: {keep_days: 0.5, keep_last: 1000}, CANCELLED: {keep_days: null, keep_last: 0}}",
            "CANCELLED beyond the newest 0, FAILED after 90 days, SKIPPED after 30 days, "
            "SUCCESS after 0.5 days or beyond the newest 1,000, TIMEOUT after 90 days",
        ),
        ("{cron_jobs: {a: {keep_last: 1}, b: {}}}", f"{DEFAULTS}, with rules of their own for 2 cron jobs"),
        (
            "{SUCCESS: {keep_days: null}, FAILED: {keep_days: null}, TIMEOUT: {keep_days: null},"
            " CANCELLED: {keep_days: null}, SKIPPED: {keep_days: null}}",
            "nothing but what rules of queues say",
        ),
    ],
)
def test_what_is_set_is_said(project: Project, text: str, words: str) -> None:
    project.write("scheduler.yaml", f"retention: {text}\n")
    assert in_words(rules_of(project.load().retention)) == words


def test_a_cron_job_may_have_a_rule_of_its_own(project: Project) -> None:
    project.write("scheduler.yaml", "retention: {cron_jobs: {nightly: {keep_last: 400}}}\n")
    rules = rules_of(project.load(SCHEDULER_RETENTION__SUCCESS__KEEP_DAYS="5").retention)
    assert rules.cron_jobs == {"nightly": Keep(last=400)}
    assert rules.statuses[Status.SUCCESS] == Keep(days=5)
