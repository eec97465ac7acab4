"""docs/sql.md: the recipes of docs/recipes.sql, and what the database says of its own tables, views and functions."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from scheduler.testing.schema_document import plain

_DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PAGE: Final = _DOCS / "sql.md"
RECIPES: Final = _DOCS / "recipes.sql"

_HEADING: Final = re.compile(r"^-- ## (.+)$", re.MULTILINE)
_WIDTH: Final = 100
_TITLE: Final = """\
# SQL

Everything is a row, and everything can be seen and done with SQL; the commands, too, act through these tables, views
and functions. `scheduler db psql` opens psql on them, and `\\d+ job_executions`, `\\dv+` and `\\df+` (psql 16 or newer)
say there what this page says (`\\pset format wrapped` makes room for the words). Who may do what is in
[roles](roles.md).

Written by `./dev schema` from `docs/recipes.sql` and from the comments in the database: change those, not this.
"""
_KINDS: Final = (
    ("Functions", "Each runs with the rights of whoever calls it.", lambda said: True),
    (
        "The worker protocol",
        "For workers in any language: register, then claim, work, and complete or fail, with a heartbeat well within "
        "each lease. A claim is fenced: what comes too late is not recorded.",
        lambda said: said.startswith("Worker protocol"),
    ),
    ("Inside", "Nobody has to call these.", lambda said: said.startswith(("Used inside others", "Trigger"))),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A question or task, what there is to say of it, and the statements that answer it."""

    title: str
    prose: str
    sql: str

    @property
    def anchor(self) -> str:
        """Of its heading, as GitHub makes them."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")


def recipes() -> list[Recipe]:
    """Those of docs/recipes.sql, in order."""
    _, *parts = _HEADING.split(RECIPES.read_text(encoding="utf-8"))
    return [_recipe(title, body.strip()) for title, body in zip(parts[::2], parts[1::2], strict=True)]


def page(connection: psycopg.Connection[Any], schema: str = "public") -> str:
    """The whole page, as Markdown."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema)))
        sections = [
            _TITLE,
            *_recipes(),
            "## Tables\n",
            *_relations(connection, "r"),
            "## Views\n",
            *_relations(connection, "v"),
            *_functions(connection),
        ]
    return "\n".join(sections)


def _recipe(title: str, body: str) -> Recipe:
    lines = body.splitlines()
    said = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
    return Recipe(title, " ".join(said), "\n".join(line for line in lines if not line.startswith("--")))


def _recipes() -> Iterator[str]:
    found = recipes()
    yield "## Recipes\n"
    yield "\n".join(f"- [{recipe.title}](#{recipe.anchor})" for recipe in found) + "\n"
    for recipe in found:
        yield f"### {recipe.title}\n"
        if recipe.prose:
            yield f"{recipe.prose}\n"
        yield f"```sql\n{recipe.sql}\n```\n"


def _relations(connection: psycopg.Connection[Any], kind: str) -> Iterator[str]:
    for name, comment, oid in connection.execute(_RELATIONS, [kind]).fetchall():
        yield f"### {name}\n\n{comment}\n"
        columns = connection.execute(_COLUMNS, [oid]).fetchall()
        header = ("column", "type", "default", "meaning") if kind == "r" else ("column", "type", "meaning")
        yield _table(header, (_cells(column, kind) for column in columns))


def _cells(column: Sequence[str], kind: str) -> Sequence[str]:
    name, type_, default, comment = column
    first = f"`{name}`", plain(type_).replace("double precision", "double")
    return (*first, comment) if kind == "v" else (*first, f"`{plain(default)}`" if default else "", comment)


def _functions(connection: psycopg.Connection[Any]) -> Iterator[str]:
    left = connection.execute(_FUNCTIONS).fetchall()
    sections = []
    for title, prose, belongs in reversed(_KINDS):
        ours = [row for row in left if belongs(row[-1])]
        left = [row for row in left if row not in ours]
        sections.append((title, prose, ours))
    for title, prose, ours in reversed(sections):
        yield f"## {title}\n\n{prose}\n"
        for name, arguments, result, comment in ours:
            yield f"### {name}\n\n{comment}\n\n```sql\n{_signature(name, plain(arguments), plain(result))}\n```\n"


def _signature(name: str, arguments: str, result: str) -> str:
    whole = f"{name}({arguments}) RETURNS {result}"
    if len(whole) <= _WIDTH:
        return whole
    return f"{name}({_folded(arguments)}) RETURNS {_folded(result)}"


def _folded(text: str) -> str:
    """A long list with one item a line."""
    head, bracket, items = text.rpartition("TABLE(") if text.startswith("TABLE(") else ("", "", text)
    if len(text) <= _WIDTH // 2:
        return text
    inner = ",\n    ".join(items.removesuffix(")" if bracket else "").split(", "))
    return f"{head}{bracket}\n    {inner}\n" + (")" if bracket else "")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (header, ["---"] * len(header), *rows)
    return "".join(f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


_RELATIONS: Final = b"""
    SELECT relname, obj_description(oid, 'pg_class'), oid FROM pg_class
    WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = %s
    ORDER BY relname = 'scheduler_version', oid"""

_COLUMNS: Final = b"""
    SELECT attname, format_type(atttypid, atttypmod),
           CASE WHEN attidentity <> '' THEN 'identity' WHEN adbin IS NOT NULL THEN pg_get_expr(adbin, adrelid, true)
                WHEN attnotnull THEN '' ELSE 'NULL' END,
           col_description(attrelid, attnum)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""

_FUNCTIONS: Final = b"""
    SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), obj_description(oid, 'pg_proc')
    FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace ORDER BY oid"""
