"""scheduler/store/schema.sql: the whole schema as one document to read, written from what the migrations make."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "store" / "schema.sql"

_WIDTH: Final = 140
_CAST: Final = re.compile(
    r"('(?:[^']|'')*')::(?:text\[\]|text|jsonb|timestamp with time zone)|(\bNULL)::[a-z]+(?: [a-z]+)*"
    r"|(\b\d+)::double precision"
)
_TITLE: Final = """\
-- The schema of the scheduler, whole. Written by `./dev schema` from the migrations: change those, not this.
--
-- `scheduler migrate` makes just this, and a version table. To try it by hand in an empty schema of your own:
--     CREATE SCHEMA jobs; SET search_path = jobs, pg_temp; \\i schema.sql
"""


def document(connection: psycopg.Connection[Any], schema: str = "public") -> str:
    """The schema as SQL with bare names, runnable as it stands, in the order in which its objects were made."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL timezone = 'UTC'")
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema)))
        first, later = _functions(connection)
        sections = [
            _TITLE,
            _section("What the tables' defaults and triggers call", first),
            *_tables(connection),
            _section("Functions", later),
            _section("Views", _views(connection)),
            _section("The words above, where the database keeps them", [_comments(connection)]),
        ]
    return "\n\n".join(sections)


def _tables(connection: psycopg.Connection[Any]) -> Iterator[str]:
    tables = connection.execute(
        f"""SELECT oid, relname, obj_description(oid, 'pg_class'), array_to_string(reloptions, ', ')
            FROM pg_class WHERE relkind = 'r' AND {_OURS} ORDER BY oid"""
    ).fetchall()
    for oid, name, comment, options in tables:
        ending = f") WITH ({options});" if options else ");"
        table = [
            *_prose(comment),
            f"CREATE TABLE {name} (",
            *_columns(connection, oid),
            *_constraints(connection, oid),
            ending,
            *_definitions(connection, _INDEXES, oid),
            *_definitions(connection, _TRIGGERS, oid),
        ]
        yield _section(name, ["\n".join(table)])


def _columns(connection: psycopg.Connection[Any], table: int) -> Iterator[str]:
    """Name, type and default in columns; what a column means beside it, going on below itself where it is long."""
    rows = [
        (name, plain(kind), plain(rest), comment) for name, kind, rest, comment in connection.execute(_COLUMNS, [table])
    ]
    names, types, rests = (max(len(row[i]) for row in rows) for i in range(3))
    for name, kind, rest, comment in rows:
        definition = f"    {name:{names}} {kind:{types}} {rest}".rstrip() + ","
        margin = 4 + names + 1 + types + 1 + rests + 3
        lines = _prose(comment, _WIDTH - margin)
        if not lines:
            yield definition
        for number, line in enumerate(lines):
            yield f"{definition if number == 0 else '':{margin}}{line}"


def _constraints(connection: psycopg.Connection[Any], table: int) -> Iterator[str]:
    rows = connection.execute(_CONSTRAINTS, [table]).fetchall()
    for number, (name, definition) in enumerate(rows, start=1):
        yield f"    CONSTRAINT {name} {plain(definition)}" + ("," if number < len(rows) else "")


def _definitions(connection: psycopg.Connection[Any], query: bytes, table: int) -> list[str]:
    return [f"{plain(definition)};" for (definition,) in connection.execute(query, [table])]


def _functions(connection: psycopg.Connection[Any]) -> tuple[list[str], list[str]]:
    """Those that tables need to be made, and the others: their bodies may name the tables."""
    first: list[str] = []
    later: list[str] = []
    for needed, text, arguments, names, comment in connection.execute(_FUNCTIONS):
        bare = re.sub(r"^CREATE OR REPLACE FUNCTION .*?(\w+\()", r"CREATE FUNCTION \1", text, count=1)
        bare = re.sub(r"^ SET search_path TO .*$", " SET search_path FROM CURRENT", bare, count=1, flags=re.MULTILINE)
        bare = bare.replace(f"({arguments})", f"({_one_a_line(plain(arguments), names)})", 1)
        (first if needed else later).append("\n".join([*_prose(comment), bare.rstrip() + ";"]))
    return first, later


def _one_a_line(arguments: str, names: Iterable[str] | None) -> str:
    if len(arguments) <= _WIDTH // 2:
        return arguments
    separator = ", (?=(?:{}) )".format("|".join(names or ()))
    return "\n    " + ",\n    ".join(re.split(separator, arguments)) + "\n"


def _views(connection: psycopg.Connection[Any]) -> Iterator[str]:
    for name, definition, comment in connection.execute(_VIEWS):
        yield "\n".join([*_prose(comment), f"CREATE VIEW {name} AS", plain(definition)])


def _comments(connection: psycopg.Connection[Any]) -> str:
    return "\n".join(statement for (statement,) in connection.execute(_COMMENTS))


def _section(title: str, parts: Iterable[str]) -> str:
    return "\n\n".join([f"-- {title} ".ljust(120, "-"), *parts]) + "\n"


def plain(deparsed: str) -> str:
    """Without the casts that the server writes behind each literal, and infers again when it reads the document."""
    return _CAST.sub(r"\1\2\3", deparsed).replace("timestamp with time zone", "timestamptz")


def _prose(comment: str | None, width: int = 120) -> list[str]:
    return textwrap.wrap(comment or "", width, initial_indent="-- ", subsequent_indent="-- ", break_on_hyphens=False)


_OURS: Final = "relnamespace = quote_ident(current_schema())::regnamespace AND relname <> 'scheduler_version'"

_COLUMNS: Final = b"""
    SELECT quote_ident(attname), format_type(atttypid, atttypmod),
           concat_ws(' ', CASE attidentity WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY'
                                           WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY' END,
                     CASE WHEN attnotnull AND attidentity = '' THEN 'NOT NULL' END,
                     'DEFAULT ' || pg_get_expr(adbin, adrelid, true)),
           col_description(attrelid, attnum)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""

_CONSTRAINTS: Final = b"""
    SELECT quote_ident(conname),
           concat(pg_get_constraintdef(oid, true),
                  ' WITH (' || (SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = conindid) || ')')
    FROM pg_constraint
    WHERE conrelid = %s AND contype <> 'n' ORDER BY contype = 'c', contype <> 'p', oid"""

_INDEXES: Final = b"""
    SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index
    WHERE indrelid = %s AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) ORDER BY indexrelid"""

_TRIGGERS: Final = b"""
    SELECT pg_get_triggerdef(oid, true) FROM pg_trigger WHERE tgrelid = %s AND NOT tgisinternal ORDER BY oid"""

_FUNCTIONS: Final = b"""
    SELECT oid IN (SELECT tgfoid FROM pg_trigger
                   UNION ALL SELECT refobjid FROM pg_depend
                   WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_proc'::regclass),
           pg_get_functiondef(oid), pg_get_function_arguments(oid), proargnames, obj_description(oid, 'pg_proc')
    FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace ORDER BY oid"""

_VIEWS: Final = f"""
    SELECT relname, pg_get_viewdef(oid, true), obj_description(oid, 'pg_class')
    FROM pg_class WHERE relkind = 'v' AND {_OURS} ORDER BY oid""".encode()

_COMMENTS: Final = f"""
    SELECT format('COMMENT ON %s %s IS %L;', kind, name, comment) FROM (
        SELECT CASE relkind WHEN 'r' THEN 'TABLE' ELSE 'VIEW' END AS kind, quote_ident(relname) AS name,
               obj_description(oid, 'pg_class') AS comment, relkind = 'v' AS late, oid, 0 AS number
        FROM pg_class WHERE relkind IN ('r', 'v') AND {_OURS}
        UNION ALL
        SELECT 'COLUMN', quote_ident(relname) || '.' || quote_ident(attname),
               col_description(attrelid, attnum), relkind = 'v', c.oid, attnum
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relkind IN ('r', 'v') AND attnum > 0 AND {_OURS}
        UNION ALL
        SELECT 'FUNCTION', quote_ident(proname) || '(' || pg_get_function_identity_arguments(oid) || ')',
               obj_description(oid, 'pg_proc'), true, oid, 0
        FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace
    ) comments
    WHERE comment IS NOT NULL ORDER BY late, oid, number""".encode()
