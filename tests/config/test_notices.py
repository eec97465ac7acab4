"""What is asked for and not done is told when a command starts."""

import pytest

from scheduler.config.notices import tell_ignored, tell_not_yet
from tests.config.conftest import Project
from tests.store.tables import Events

URL = "postgresql://app:pw@db.example:5432/jobs"


def test_a_file_with_a_slip_is_named_with_what_was_meant(project: Project, events: Events) -> None:
    path = project.write("config/database.yaml", f"database: {{default: {{url: '{URL}'}}}}\n")
    project.write("config/app.yaml", "title: Shop\n")

    tell_ignored(project.load())

    assert events == [("settings.ignored", {"file": path, "written": "database", "meant": "databases"})]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("worker: {processes: 1}", []),
        ("worker: {processes: 2}", []),
        ("retention:", []),
        ("retention: {SUCCESS: {keep_days: 30}}", []),
        ("drivers: {}", []),
        ("drivers: {b: {kind: memory}}", ["drivers"]),
        (
            "drivers: {b: {kind: memory}}\nqueues: {q: {driver: b}}\nconsumers: {c: {queue: q, handler: h}}",
            ["drivers", "queues", "consumers"],
        ),
    ],
)
def test_what_does_nothing_yet_is_named(project: Project, events: Events, text: str, told: list[str]) -> None:
    project.write("scheduler.yaml", text)

    tell_not_yet(project.load())

    assert events == [("settings.not_yet", {"setting": setting}) for setting in told]


def test_a_variable_is_no_excuse(project: Project, events: Events) -> None:
    tell_not_yet(project.load(SCHEDULER_DRIVERS__LOCAL__KIND="memory"))

    assert events == [("settings.not_yet", {"setting": "drivers"})]
