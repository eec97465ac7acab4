"""Brings the planner's statistics of some tables up to date, as after a nightly load.

    INSERT INTO cron_jobs (name, cron_expression, timezone, handler_name, handler_params)
    VALUES ('after the load', '30 4 * * *', 'Europe/Berlin', 'maintenance', '{"tables": ["orders", "shop.customers"]}');

Tables are named as the catalogue has them, with their schema unless it is on the search path.
"""

from pydantic import BaseModel, Field

from scheduler import BaseHandler, FailPermanently, current_execution, get_connection, handler, transactional

# The catalogue gives a name back quoted, if it knows it: nothing from a row ever becomes SQL.
KNOWN = """
SELECT t.name, (
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'f')
      AND (n.nspname || '.' || c.relname = t.name OR c.relname = t.name AND pg_table_is_visible(c.oid))
    LIMIT 1) AS quoted
FROM unnest(CAST(:tables AS text[])) AS t(name)
"""


class MaintenanceParams(BaseModel):
    tables: list[str] = Field(min_length=1, max_length=1000)
    database: str = "default"
    """Its name in the settings."""


@handler("maintenance", timeout=3600, max_retry=2)
class MaintenanceHandler(BaseHandler):
    async def execute(self, params: MaintenanceParams) -> dict[str, list[str]]:
        tables = await quoted(params)
        for done, table in enumerate(tables):
            current_execution().progress(done / len(tables), f"ANALYZE {table}")
            async with transactional(params.database):  # one each: a lock is held for one table at a time
                await get_connection(params.database).execute(f"ANALYZE {table}")
        return {"analyzed": tables}


async def quoted(params: MaintenanceParams) -> list[str]:
    async with transactional(params.database):
        found = await get_connection(params.database).execute(KNOWN, {"tables": params.tables})
    if missing := [row["name"] for row in found if row["quoted"] is None]:
        raise FailPermanently(
            f"No such table in the database {params.database!r}: {', '.join(missing)}. Nothing was analyzed; "
            "correct the names, which take a schema where it isn't on the search path."
        )
    return [row["quoted"] for row in found]
