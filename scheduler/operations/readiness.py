"""Whether the job database is one that `scheduler run` can work on: nothing dropped, and a role that may."""

from scheduler.errors import ConfigurationError, SchemaError
from scheduler.store.asking import ask
from scheduler.store.schema import metadata
from scheduler.store.session import SyncSession

VIEWS = (
    *("cron_job_status", "cron_job_ticks", "job_queue_status", "job_running", "job_dead_letters", "job_worker_status"),
    *("job_attempts", "job_history"),
)


def missing(session: SyncSession) -> list[str]:
    """Tables and views that are not there."""
    names = [*metadata.tables, *VIEWS]
    return [row["name"] for row in ask(session, "doctor_missing", names=names, schema=session.schema)]


def lacking(session: SyncSession) -> list[str]:
    """What the role lacks of that which `scheduler run` does, as `UPDATE on cron_jobs`."""
    return [f"{row['privilege']} on {row['name']}" for row in ask(session, "doctor_rights", schema=session.schema)]


def require_complete(session: SyncSession) -> None:
    """Raises SchemaError for tables that somebody has dropped."""
    if gone := missing(session):
        raise SchemaError(gone_said(session.schema, gone))


def require_rights(session: SyncSession) -> None:
    """Raises ConfigurationError for a role that can't run the line."""
    if rights := lacking(session):
        (row,) = ask(session, "doctor_server")
        raise ConfigurationError(
            f'Role "{row["role"]}" may not do all that `scheduler run` does: it lacks {", ".join(rights)}. '
            "Run it as a role that may: `scheduler db roles` prints the SQL that makes one."
        )


def gone_said(schema: str, names: list[str]) -> str:
    return (
        f'Schema "{schema}" is at the right revision, but somebody has dropped {", ".join(names)}: restore it from a '
        "backup, or begin anew in another schema (the setting databases.<name>.schema) with `scheduler migrate`."
    )
