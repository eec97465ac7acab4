"""`scheduler migrate`."""

from typing import Annotated

import typer

from scheduler.cli.failures import FAILED, report
from scheduler.cli.options import AsJson
from scheduler.cli.project import opened


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 unless the tables are those of this version.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the scheduler's tables, or update them.

    Any number of these may run at once. Which schema they are in is the setting databases.<name>.schema.

    Example: scheduler migrate --check
    """
    from scheduler.cli.tables import print_json
    from scheduler.errors import SchemaError
    from scheduler.operations import migration

    with opened() as project:
        conninfo, schema = project.database.conninfo, project.schema
        state = migration.state(conninfo, schema) if check else migration.migrated(conninfo, schema)
    try:
        state.require_current()
    except SchemaError as error:
        report(error)
        raise typer.Exit(FAILED) from None
    if as_json:
        print_json({"database": state.database, "schema": state.schema, "revision": state.found})
        return
    typer.echo(f'Schema "{state.schema}" of database "{state.database}" is at revision {state.found}.')
