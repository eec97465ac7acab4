"""What Postgres itself knows of a schema, as text: so schemas that were made in different ways can be compared."""

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import sql

Facts = Mapping[str, str]
"""What an object is called, such as `column cron_jobs.name`, to everything that is known about it."""

_OURS: Final = "relnamespace = quote_ident(current_schema())::regnamespace AND relname NOT LIKE 'scheduler_version%'"

_QUERIES: Final = (
    f"""
    SELECT 'relation ' || relname,
           concat_ws(' | ', relkind, relpersistence, reloptions::text, relreplident, relrowsecurity, relacl::text,
                     obj_description(oid, 'pg_class'))
    FROM pg_class WHERE {_OURS}
    """,
    f"""
    SELECT 'column ' || relname || '.' || attname,
           concat_ws(' | ', attnum, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
                     attidentity, attgenerated, attstorage, attcollation::regcollation, attstattarget, attoptions::text,
                     pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND relkind IN ('r', 'v') AND {_OURS}
    """,
    f"""
    SELECT 'constraint ' || relname || '.' || conname,
           concat_ws(' | ', contype, convalidated, condeferrable, pg_get_constraintdef(k.oid, true),
                     obj_description(k.oid, 'pg_constraint'))
    FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid WHERE {_OURS}
    """,
    f"""
    SELECT 'index ' || relname,
           concat_ws(' | ', pg_get_indexdef(c.oid), indisvalid, indisprimary, indisunique,
                     obj_description(c.oid, 'pg_class'))
    FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE {_OURS}
    """,
    f"""
    SELECT 'trigger ' || relname || '.' || tgname,
           concat_ws(' | ', pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger'))
    FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal AND {_OURS}
    """,
    f"""
    SELECT 'sequence ' || relname, concat_ws(' | ', seqtypid::regtype, seqstart, seqincrement, seqcache, seqcycle)
    FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid WHERE {_OURS}
    """,
    f"SELECT 'view ' || relname, pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND {_OURS}",
    """
    SELECT 'function ' || proname || '(' || pg_get_function_identity_arguments(oid) || ')',
           concat_ws(' | ', pg_get_functiondef(oid), proacl::text, obj_description(oid, 'pg_proc'))
    FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace
    """,
)


def facts(connection: psycopg.Connection, schema: str) -> Facts:
    """Everything in `schema`, with its own name taken out. Definitions are deparsed by this server: compare on one."""
    found: dict[str, str] = {}
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL timezone = 'UTC'")
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(schema)))
        for query in _QUERIES:
            for name, definition in connection.execute(query.encode()):
                found[name] = definition.replace(schema, "SCHEMA")
    return found
