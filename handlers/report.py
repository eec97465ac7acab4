"""What became of the newest executions, counted in the job database itself.

INSERT INTO cron_jobs (name, cron_expression, handler_name, handler_params)
VALUES ('hourly report', '0 * * * *', 'report', '{"newest": 500}');
"""

from pydantic import BaseModel, Field

from scheduler import BaseHandler, handler
from scheduler.database import get_connection, transactional

# By id, not by time: ids have an index, so the cost doesn't grow with the history.
COUNTS = """
SELECT handler_name, status, count(*) AS executions
FROM job_executions
WHERE id > (SELECT max(id) FROM job_executions) - :newest
GROUP BY handler_name, status
ORDER BY handler_name, status
"""


class ReportParams(BaseModel):
    newest: int = Field(1000, ge=1, le=100_000)


@handler("report")
class ReportHandler(BaseHandler):
    async def execute(self, params: ReportParams) -> dict[str, dict[str, int]]:
        report: dict[str, dict[str, int]] = {}
        async with transactional("default"):
            counted = await get_connection("default").execute(COUNTS, {"newest": params.newest})
            for row in counted:
                report.setdefault(row["handler_name"], {})[row["status"]] = row["executions"]
        return report
