"""The named statements of the .sql files beside this one and below, rendered once with the schema they act on."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_FILES = (
    "queries.sql",
    "retention.sql",
    "operations/cron_jobs.sql",
    "operations/executions.sql",
    "operations/queues.sql",
    "operations/access.sql",
    "operations/live.sql",
    "declared.sql",
    "doctor.sql",
    "measuring.sql",
    "alerts.sql",
    "bench.sql",
    "client.sql",
    "messages.sql",
)
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def _texts() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for file in _FILES:
        text = files("scheduler.store").joinpath(file).read_text(encoding="utf-8")
        _, *parts = _NAME.split(text)
        found |= {name: _bare(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}
    return found


def _bare(body: str) -> str:
    lines = (line for line in body.splitlines() if not line.lstrip().startswith("--"))
    return "\n".join(lines).strip().rstrip(";")


def quote(identifier: str) -> str:
    """A schema or table name as SQL, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


@cache
def statements(schema: str) -> Mapping[str, bytes]:
    """Name → statement, ready for psycopg, for tables in `schema`."""
    return {name: text.replace("{s}", quote(schema)).encode() for name, text in _texts().items()}


def channel(schema: str) -> str:
    """The NOTIFY channel of a schema, as job_channel() names it."""
    return f"scheduler_{schema}"


def done_channel(schema: str) -> str:
    """Where the trigger job_executions_done notifies."""
    return f"job_done_{schema}"
