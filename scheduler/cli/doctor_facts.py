"""What `scheduler doctor` gets from the project in the current folder: plain values, or why there are none."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scheduler.app import FOLDER, Project
from scheduler.app.messaging import places
from scheduler.cli.project import handlers_of
from scheduler.config import DatabaseSettings, Settings, load_settings
from scheduler.config.settings import SECTIONS
from scheduler.config.variables import JOB_URL, section_of
from scheduler.errors import ConfigurationError, EmbeddedPostgresError, SchedulerError, SchemaError
from scheduler.operations.doctor import (
    Code,
    DatabaseFacts,
    Finding,
    IgnoredFile,
    Place,
    SettingsFacts,
    handlers,
    message_queues,
    refused,
    settings,
)
from scheduler.operations.messages import statuses


class Patient:
    """The project in a folder, however ill: what can't be read or opened becomes a finding."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refusals: list[Finding] = []
        """Why there is no database to examine."""
        self._settings: Settings | None = None
        self._handlers: list[str] | None = None

    def settings(self) -> Iterator[Finding]:
        """Settings and handlers."""
        try:
            self._settings = load_settings(self.folder)
        except ConfigurationError as error:
            yield refused(Code.SETTINGS, error)
            return
        yield from settings(self._facts(self._settings))
        try:
            self._handlers = handlers_of(Project(self.folder, self._settings)).names
        except ConfigurationError as error:
            yield refused(Code.HANDLERS, error)
        else:
            yield handlers(self._settings.handlers, self._handlers)

    def messages(self) -> Iterator[Finding]:
        """The brokers of message queues."""
        if self._settings is not None:
            yield from message_queues(statuses(places(self._settings)))

    @contextmanager
    def database(self) -> Iterator[DatabaseFacts | None]:
        """The job database, joined where it is embedded; None if there is none, and then `refusals` says why."""
        project = self._opened()
        try:
            yield self._database_facts(project) if project is not None else None
        finally:
            if project is not None:
                project.close()

    def _opened(self) -> Project | None:
        if self._settings is None:
            return None
        try:
            with _silence():
                return Project.open(self.folder, quiet=True, as_it_is=True)
        except SchedulerError as error:
            self.refusals.append(refused(self._code(error, self._settings), error))
            return None

    def _code(self, error: SchedulerError, given: Settings) -> Code:
        match error:
            case SchemaError():
                return Code.SCHEMA_REVISION
            case EmbeddedPostgresError():
                return Code.EMBEDDED_SERVER
            case _ if given.database_named or (self.folder / FOLDER).is_dir():
                return Code.DATABASE_UNREACHABLE
            case _:
                return Code.DATABASE_NONE

    def _facts(self, given: Settings) -> SettingsFacts:
        sources = [str(source.relative_to(self.folder)) for source in given.sources]
        return SettingsFacts(
            sources=[*sources, *_variables()],
            ignored=[IgnoredFile(str(file.path.relative_to(self.folder)), file.slips) for file in given.ignored],
            handler_sources=given.handlers,
        )

    def _database_facts(self, project: Project) -> DatabaseFacts:
        given = project.settings
        worker, job = given.worker, project.database
        others = [name for name in given.databases if name != worker.database]
        return DatabaseFacts(
            job=_place(worker.database, job),
            others=[_place(name, given.databases[name]) for name in others],
            direct_conninfo=job.direct_conninfo if job.direct_url is not None else None,
            schema=project.schema,
            embedded=project.server is not None,
            queues=worker.queues,
            pool_size=worker.pool_size,
            heartbeat_interval_seconds=worker.heartbeat_interval_seconds,
            handlers=self._handlers,
        )


def _place(name: str, given: DatabaseSettings) -> Place:
    return Place(name, given.conninfo, given.pool_size, given.atomicity == "two_phase")


def _variables() -> list[str]:
    """Those of the environment that are settings, never with what they hold."""
    return sorted(name for name in os.environ if name == JOB_URL or section_of(name) in SECTIONS)


@contextmanager
def _silence() -> Iterator[None]:
    """What would be logged here is a finding."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
