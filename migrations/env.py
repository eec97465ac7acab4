"""How Alembic reaches the database: by what scheduler.store.migration hands over, or, on the command line, by

    SCHEDULER_DATABASE_URL=postgresql://… SCHEDULER_DATABASE_SCHEMA=public alembic upgrade head

One transaction, all or nothing, under an advisory lock that ends with it: whoever comes second waits, then finds the
work done. Logging stays as the caller has set it up.
"""

import os

import psycopg
from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, NullPool, Table, create_engine, text
from sqlalchemy.schema import CreateSchema

from scheduler.database.libpq import connection_params
from scheduler.store.revision import VERSION_TABLE


def migrate(url: str, schema: str) -> None:
    params = connection_params(url, application_name="scheduler migrate", connect_timeout_seconds=10)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**params),
        poolclass=NullPool,
        isolation_level="READ COMMITTED",  # what is read after waiting for the lock must not be older than the lock
    )
    with engine.connect() as connection:
        context.configure(connection=connection, version_table=VERSION_TABLE, version_table_schema=schema)
        with context.begin_transaction():
            lock(connection, schema)
            enter(connection, schema)
            context.run_migrations()
            leave(connection, schema)


def lock(connection: Connection, schema: str) -> None:
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('scheduler migrate ' || :schema, 0))"), {"schema": schema}
    )


def enter(connection: Connection, schema: str) -> None:
    """Make the schema if it is missing, and let bare names mean it until the end of the transaction."""
    # IF NOT EXISTS would ask for the right to make schemas even where there is nothing to make.
    if not connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :schema"), {"schema": schema}):
        connection.execute(CreateSchema(schema))
    connection.execute(
        text("SELECT set_config('search_path', quote_ident(:schema) || ', pg_temp', true)"), {"schema": schema}
    )


def leave(connection: Connection, schema: str) -> None:
    """After a downgrade to nothing, Alembic's empty table goes as well."""
    if not context.get_context().get_current_heads():
        Table(VERSION_TABLE, MetaData(), schema=schema).drop(connection, checkfirst=True)


def settings() -> tuple[str, str]:
    attributes = context.config.attributes
    url = attributes.get("url") or os.environ.get("SCHEDULER_DATABASE_URL")
    if not url:
        raise CommandError("Set SCHEDULER_DATABASE_URL to the url of the database, or run `scheduler migrate`.")
    return url, attributes.get("schema") or os.environ.get("SCHEDULER_DATABASE_SCHEMA") or "public"


if context.is_offline_mode():
    raise CommandError("--sql has nothing to offer: scheduler/store/schema.sql is the whole schema as one document.")
migrate(*settings())
