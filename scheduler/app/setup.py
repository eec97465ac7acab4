"""setup: a project, for a process that runs handlers and reads no settings."""

from dataclasses import asdict

from scheduler.app.project import Project
from scheduler.database.database import DatabaseOptions
from scheduler.isolation.fork_server import Setup


def setup_of(project: Project) -> Setup:
    settings = project.settings
    options = {name: DatabaseOptions.of(name, database) for name, database in settings.databases.items()}
    return Setup(
        project=str(project.folder),
        handlers=settings.handlers,
        databases={name: asdict(each) for name, each in options.items()},
        job=settings.worker.database,
        log=(settings.log.level, settings.log.format, settings.log.language),
    )
