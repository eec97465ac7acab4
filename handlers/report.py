"""The largest tables of the database: how much room each takes, and how many rows live in it.

INSERT INTO cron_jobs (name, cron_expression, handler_name, handler_params)
VALUES ('hourly report', '0 * * * *', 'report', '{"largest": 20}');
"""

from typing import Any

from pydantic import BaseModel, Field

from scheduler import BaseHandler, handler
from scheduler.database import get_connection, transactional

# Postgres' own estimate of the rows: counting them would read every table.
LARGEST = """
SELECT schemaname || '.' || relname AS "table", pg_total_relation_size(relid) AS bytes, n_live_tup AS live_rows
FROM pg_stat_user_tables
ORDER BY bytes DESC NULLS LAST, "table"
LIMIT :largest
"""


class ReportParams(BaseModel):
    largest: int = Field(10, ge=1, le=1000)


@handler("report")
class ReportHandler(BaseHandler):
    async def execute(self, params: ReportParams) -> list[dict[str, Any]]:
        async with transactional("default"):
            return list(await get_connection("default").execute(LARGEST, {"largest": params.largest}))
