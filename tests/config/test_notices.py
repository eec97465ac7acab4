"""What is left alone of the settings is told when a command starts."""

from scheduler.config.notices import tell_ignored
from tests.config.conftest import Project
from tests.store.tables import Events

URL = "postgresql://app:pw@db.example:5432/jobs"


def test_a_file_with_a_slip_is_named_with_what_was_meant(project: Project, events: Events) -> None:
    path = project.write("config/database.yaml", f"database: {{default: {{url: '{URL}'}}}}\n")
    project.write("config/app.yaml", "title: Shop\n")

    tell_ignored(project.load())

    assert events == [("settings.ignored", {"file": path, "written": "database", "meant": "databases"})]
