"""Moves rows from one database to another in one go: `outbox` in the job database, `inbox` in `business`.

INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('sync', '*/5 * * * *', 'sync');

Both need their table, (id bigint PRIMARY KEY, body text), and `business` needs its place in the settings:
`databases: {business: {url: postgresql://…, atomicity: best_effort}}`. It commits first; should the other commit
fail, the same rows come again, and ON CONFLICT lets them pass.
"""

from typing import Any

from scheduler import BaseHandler, handler
from scheduler.database import DatabaseRegistry, get_connection, transactional

INSERT = "INSERT INTO inbox (id, body) VALUES (:id, :body) ON CONFLICT (id) DO NOTHING"


@handler("sync")
class SyncHandler(BaseHandler):
    async def execute(self, params: dict[str, Any]) -> dict[str, int]:
        db1, db2 = DatabaseRegistry.get("default"), DatabaseRegistry.get("business")

        @transactional(db1, db2)
        async def sync_data() -> int:
            taken = await get_connection("default").execute("DELETE FROM outbox RETURNING id, body")
            for row in taken:
                await get_connection("business").execute(INSERT, row)
            return len(taken)

        return {"synced": await sync_data()}
