"""schema.sql and docs/sql.md: what is written from the migrations.

    python -m scheduler.testing.documents            write them anew
    python -m scheduler.testing.documents --check    say what differs, and exit 1 if anything does

The server deparses them, and one of another major version words some expressions differently: always this one.
"""

import difflib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from scheduler.store.migration import migrate
from scheduler.testing import schema_document, sql_page
from scheduler.testing.postgres import ThrowawayPostgres

MAJOR: Final = 18


def main(arguments: Sequence[str] | None = None) -> None:
    check = "--check" in (sys.argv[1:] if arguments is None else arguments)
    with tempfile.TemporaryDirectory() as folder, ThrowawayPostgres(Path(folder)) as server:
        if server.major != MAJOR:
            sys.exit(
                f"The documents are written by PostgreSQL {MAJOR}, this is {server.major}: unset SCHEDULER_PG_BIN."
            )
        with server.fresh_database() as url:
            migrate(url)
            with psycopg.connect(url, autocommit=True) as connection:
                wanted = documents(connection)
    if not check:
        for file, text in wanted.items():
            file.write_text(text, encoding="utf-8")
    elif changes := "".join(drift(wanted)):
        sys.exit(f"{changes}\nThis is not what the migrations make: run `./dev schema`.")


def documents(connection: psycopg.Connection[Any]) -> Mapping[Path, str]:
    """Each file and what it has to say, of the schema `public` of a migrated database."""
    return {
        schema_document.DOCUMENT: schema_document.document(connection),
        sql_page.PAGE: sql_page.page(connection),
    }


def drift(wanted: Mapping[Path, str]) -> Iterator[str]:
    """How the files differ from what they have to say, as unified diffs; nothing if they don't."""
    for file, text in wanted.items():
        there = file.read_text(encoding="utf-8") if file.exists() else ""
        yield from difflib.unified_diff(
            there.splitlines(keepends=True), text.splitlines(keepends=True), file.name, "what the migrations make"
        )


if __name__ == "__main__":
    main()
