"""What a CHECK refuses is said in words."""

import re

import pytest
from sqlalchemy import CheckConstraint

from scheduler.store.checks import in_words
from scheduler.store.schema import metadata

WRITTEN_BY_PEOPLE = ("cron_jobs", "job_executions")


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("name <> '' AND octet_length(name) <= 200", "name must have from 1 to 200 bytes"),
        ("octet_length(unique_key) <= 1024", "unique_key must have at most 1024 bytes"),
        ("jitter > 0 AND jitter <= 60", "jitter must be more than 0 and at most 60"),
        ("priority BETWEEN -9 AND 9", "priority must be from -9 to 9"),
        ("max_retry >= 0", "max_retry must be 0 or more"),
        ("catch_up IN ('latest', 'skip', 'all')", "catch_up must be one of 'latest', 'skip', 'all'"),
        ("a = b", "a = b must hold"),
    ],
)  # fmt: skip
def test_each_form(condition: str, said: str) -> None:
    assert in_words(condition) == said


@pytest.mark.parametrize("table", WRITTEN_BY_PEOPLE)
def test_no_rule_about_one_column_is_left_in_sql(table: str) -> None:
    checks = [rule for rule in metadata.tables[table].constraints if isinstance(rule, CheckConstraint)]
    columns = set(metadata.tables[table].columns.keys())
    about_one = [str(rule.sqltext) for rule in checks if len(columns & set(re.findall(r"\w+", str(rule.sqltext)))) == 1]
    assert about_one
    left = [text for text in about_one if in_words(text).endswith("must hold") and "jsonb" not in text]
    assert left == []
