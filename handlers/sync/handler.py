"""Carries what happened in one database to another: the table `outbox` in the job database, `inbox` in `business`.

    SELECT enqueue_job('order', '{"customer": "Ada", "amount": 12.5}');
    INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('sync', '*/5 * * * *', 'sync');

`business` needs its place in the settings; an embedded server makes it. Both commit or neither: a row is never lost on
its way, and never arrives twice.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from scheduler import BaseHandler, DatabaseRegistry, current_execution, get_connection, handler, transactional

SQL = {file.stem: file.read_text(encoding="utf-8") for file in Path(__file__).with_name("sql").glob("*.sql")}


class OrderParams(BaseModel):
    customer: str
    amount: Annotated[Decimal, Field(gt=0, decimal_places=2)]


@handler("order", timeout=10)
class OrderHandler(BaseHandler):
    """Takes an order, and notes in the same transaction that others have to hear of it."""

    @transactional("default")
    async def execute(self, params: OrderParams) -> dict[str, Any]:
        database = get_connection("default")
        await database.execute(SQL["outbox"])
        values = {"order": current_execution().id, "body": params.model_dump_json()}
        await database.execute(SQL["put"], values)
        return {"order": values["order"]}


@handler("sync", timeout=60)
class SyncHandler(BaseHandler):
    async def execute(self, params: dict[str, Any]) -> dict[str, int]:
        db1, db2 = DatabaseRegistry.get("default"), DatabaseRegistry.get("business")

        @transactional(db1, db2)
        async def sync_data() -> int:
            await get_connection("default").execute(SQL["outbox"])
            await get_connection("business").execute(SQL["inbox"])
            taken = await get_connection("default").execute(SQL["take"])
            for row in taken:
                await get_connection("business").execute(SQL["receive"], row)
            return len(taken)

        return {"synced": await sync_data()}
