"""Where a benchmark takes place: whether it may, whom it would disturb, and a schema of its own."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from scheduler.app.bench import jobs
from scheduler.app.project import Project
from scheduler.config.settings import Settings, WorkerSettings
from scheduler.errors import BenchmarkError, RightsError, SchedulerError
from scheduler.store import benching
from scheduler.store.migration import migrate
from scheduler.store.revision import check, require_writable
from scheduler.store.session import SyncSession
from scheduler.store.statements import quote

POOL_SIZE = 100
"""Slots of each worker process, for handlers that wait for nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database, as it is before a benchmark."""

    database: str
    use: benching.Use
    """Of the project's own schema."""
    left_over: Sequence[str]
    """Schemas of earlier benchmarks that could not be dropped."""


def examine(project: Project) -> Place:
    """Raises ConfigurationError where nothing can be written, RightsError where the role may not make a schema."""
    conninfo = project.database.conninfo
    require_writable(conninfo)
    with closing(benching.new_session(conninfo)) as session:
        server, left_over = benching.server(session), benching.left_over(session)
    if not server.may_create:
        raise RightsError(
            f'Role "{server.role}" may not make schemas in database "{server.database}", and a benchmark works in one '
            f"of its own. Use the owner of the database, or: "
            f"GRANT CREATE ON DATABASE {quote(server.database)} TO {quote(server.role)};"
        )
    return Place(server.database, _use(project), left_over)


def _use(project: Project) -> benching.Use:
    if check(project.database.conninfo, project.schema).found is None:
        return benching.Use()
    with closing(project.session("scheduler command")) as session:
        return benching.use(session)


@contextmanager
def own_schema(project: Project) -> Iterator[SyncSession]:
    """A session in a new schema with the scheduler's tables, dropped at the end, whatever the end is.

    Raises BenchmarkError, which names the schema, where it can't be dropped.
    """
    conninfo = project.database.conninfo
    with closing(benching.new_session(conninfo)) as session:
        benching.server(session)  # from now on others see that the schema is in use
        try:
            migrate(conninfo, session.schema)
            yield session
        finally:
            _drop(session)


def _drop(session: SyncSession) -> None:
    session.close()  # an interrupted statement may still be under way
    try:
        benching.drop(session)
    except (SchedulerError, KeyboardInterrupt) as error:
        raise BenchmarkError(
            f"The benchmark's schema is left ({str(error) or 'interrupted'}): {drop_statement(session.schema)}"
        ) from error


def drop_statement(schema: str) -> str:
    return f"DROP SCHEMA {schema} CASCADE;"


def on_schema(project: Project, schema: str) -> Project:
    """The project's job database and nothing else of its settings, with the handlers of a benchmark."""
    settings = project.settings
    name = settings.worker.database
    own = Settings(
        databases={name: project.database.model_copy(update={"schema_": schema})},
        worker=WorkerSettings(database=name, pool_size=POOL_SIZE, shutdown_timeout_seconds=0),
        handlers=[jobs.__name__],
        log=settings.log,
    )
    return replace(project, settings=own)
