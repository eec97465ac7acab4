"""psql on the job database, as a child: the terminal and its Ctrl-C are psql's, the server stays in use meanwhile."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from scheduler.embedded.binaries import find_client
from scheduler.errors import ConfigurationError

_KILLED_BY = 128
"""What shells add to the number of the signal that a program ended by."""


def run(conninfo: str, schema: str, arguments: Sequence[str]) -> int:
    """psql's exit code. Raises ConfigurationError where there is no psql, or the url can't be read."""
    program = find_client("psql")
    if program is None:
        raise ConfigurationError(
            "psql is not here: install PostgreSQL's client programs (Debian: postgresql-client, macOS: libpq), or "
            "`pip install 'pg-scheduler[embedded]'`, or name their folder in SCHEDULER_PG_BIN."
        )
    before = signal.signal(signal.SIGINT, _leave_it_to_psql)
    try:
        variables = environment(conninfo, schema, os.environ)
        code = subprocess.run([str(program), *arguments], env=variables, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else _KILLED_BY - code


def environment(conninfo: str, schema: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables by which libpq finds the database: other users see a process's arguments, but not these.

    What libpq has no variable for, such as keepalives, is left to its defaults.
    """
    from scheduler.database.libpq import variables

    ours = variables(conninfo)
    found = {**inherited, **ours}
    if "PGHOST" in ours and "PGSERVICE" not in ours:
        found.pop("PGSERVICE", None)  # libpq would let it win over the address of the url
    if schema != "public":
        found["PGOPTIONS"] = f"{found.get('PGOPTIONS', '')} -c search_path={schema},public".lstrip()
    return found


def _leave_it_to_psql(*_: object) -> None:
    """A handler, for psql would inherit that a signal is ignored, and not that it is handled."""
