"""Project: a folder with its settings, and the databases that they lead to."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scheduler.app.alerts import targets_of
from scheduler.config import DatabaseSettings, Settings, declared, load_settings
from scheduler.config.notices import tell_ignored
from scheduler.config.variables import JOB_URL
from scheduler.embedded import EmbeddedPostgres
from scheduler.errors import ConfigurationError
from scheduler.handlers import HandlerRegistry, discover
from scheduler.messages import configure
from scheduler.model import DeclaredCronJob
from scheduler.operations.declared import Declarations, gather
from scheduler.operations.readiness import require_complete, require_rights
from scheduler.services.alerts.handler import alert_handler
from scheduler.store.session import SyncSession

FOLDER = ".scheduler"
"""Where a project's embedded server lives."""
_EMBEDDED_DATABASE = "scheduler"
_NO_DATABASE = f"""\
No database is configured, and neither a terminal nor a .scheduler/ folder says that an embedded one is wanted. Either
  name one:     {JOB_URL}=postgresql://user:password@host/dbname, or databases.default.url in a file
  or embed one: scheduler run --embedded"""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with its settings, and the job database that they lead to."""

    folder: Path
    settings: Settings
    server: EmbeddedPostgres | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        embedded: bool = False,
        may_embed: bool = False,
        quiet: bool = False,
        as_it_is: bool = False,
    ) -> Self:
        """Read the settings; start or join the embedded server if no database is configured, and migrate it.

        `embedded` demands it, `may_embed` allows a first one to be made. `quiet` is for a command that only passes by:
        unless the settings ask for more, its log begins with warnings. With `as_it_is` no server is made, no database
        in it, and no table.
        Raises ConfigurationError and EmbeddedPostgresError.
        """
        settings = load_settings(folder)
        level = "warning" if quiet and settings.log.level == "info" else settings.log.level
        configure(level, settings.log.format, settings.log.language)
        tell_ignored(settings)
        if settings.database_named:
            if embedded:
                raise ConfigurationError(
                    "--embedded asks for a server of the project's own, but the settings name a database "
                    f"({', '.join(map(str, settings.sources)) or JOB_URL}): drop one of the two."
                )
            return cls(folder, _reachable(settings))
        if not (embedded or may_embed or (folder / FOLDER).is_dir()):
            raise ConfigurationError(_NO_DATABASE)
        server = EmbeddedPostgres(folder / FOLDER).start(may_make=not as_it_is)
        try:
            return cls(folder, _at_server(settings, server, as_it_is=as_it_is), server)
        except BaseException:
            server.stop()
            raise

    @property
    def database(self) -> DatabaseSettings:
        """The job database."""
        found = self.settings.job_database
        assert found is not None  # open() has seen to it
        return found

    @property
    def schema(self) -> str:
        return self.database.schema_

    def handlers(self) -> HandlerRegistry:
        """All handlers of the project. Raises ConfigurationError naming a module that can't be imported."""
        found = discover(self.settings.handlers, self.folder)
        if not self.settings.alerts.watches:
            return found
        return HandlerRegistry([*found, alert_handler(targets_of(self.settings))])

    def declared_cron_jobs(self, handlers: HandlerRegistry) -> list[DeclaredCronJob]:
        """Those of the settings and of these handlers."""
        return [*declared(self.settings.cron_jobs), *(job for spec in handlers for job in spec.cron_jobs)]

    def declarations(self, handlers: HandlerRegistry) -> Declarations:
        """Everything that the project declares. Raises ConfigurationError for what can't become a row."""
        return gather(self.declared_cron_jobs(handlers), handlers, self.settings.managed_by)

    def session(
        self, application_name: str, *, actor: str | None = None, statement_seconds: float | None = None
    ) -> SyncSession:
        """A connection to the job database for a command. `actor` is whom the audit names."""
        return SyncSession(
            self.database.conninfo, self.schema, application_name, actor=actor, statement_seconds=statement_seconds
        )

    def require_schema(self, *, writable: bool = False) -> None:
        """Raises ConfigurationError if the database can't be reached, SchemaError if its tables don't fit.

        With `writable`, also where tables are missing, or where nothing can be written, or not by this role.
        """
        from scheduler.store.revision import check, require_writable

        check(self.database.conninfo, self.schema).require_current()
        if writable:
            require_writable(self.database.conninfo)
            with closing(self.session("scheduler command")) as session:
                require_complete(session)
                require_rights(session)

    def close(self) -> None:
        if self.server is not None:
            self.server.stop()


def _reachable(settings: Settings) -> Settings:
    """Without the databases that only an embedded server could make: handlers are told that they are not there."""
    found = {name: database for name, database in settings.databases.items() if database.has_address}
    return settings.model_copy(update={"databases": found})


def _at_server(settings: Settings, server: EmbeddedPostgres, *, as_it_is: bool) -> Settings:
    """The settings with each database at the embedded server, made and migrated unless it is to stay as it is."""
    from scheduler.store.revision import check

    job = settings.worker.database
    names = {job, *settings.worker.databases, *settings.databases}
    place = server.url if as_it_is else server.ensure_database
    found = {
        name: settings.databases.get(name, DatabaseSettings()).at(place(_EMBEDDED_DATABASE if name == job else name))
        for name in sorted(names)
    }
    if not as_it_is and not check(found[job].conninfo, found[job].schema_).current:
        from scheduler.store.migration import migrate

        migrate(found[job].conninfo, found[job].schema_)
    return settings.model_copy(update={"databases": found})
