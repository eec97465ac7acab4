"""Writes a report: what a query of sql/ returns, as a CSV file in reports/.

    INSERT INTO cron_jobs (name, cron_expression, handler_name, handler_params)
    VALUES ('hourly report', '0 * * * *', 'report', '{"query": "largest_tables", "largest": 20}');

A row names a query, and never brings one: a new report is a new file in sql/, which may use `:largest`.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from scheduler import FailPermanently, current_execution, get_connection, handler, transactional

QUERIES = {file.stem: file.read_text(encoding="utf-8") for file in Path(__file__).with_name("sql").glob("*.sql")}


class ReportParams(BaseModel):
    query: str = "largest_tables"
    largest: int = Field(10, ge=1, le=100_000)
    """Rows at most."""
    folder: Annotated[str, Field(pattern=r"^[\w-]+$")] = "reports"
    """The bare name of one in the project."""


@handler("report", timeout=60)
def report(params: ReportParams) -> dict[str, Any]:
    if params.query not in QUERIES:
        raise FailPermanently(f"No query is named {params.query!r}: known are {', '.join(sorted(QUERIES))}.")
    rows = fetched(QUERIES[params.query], params.largest)
    execution = current_execution()
    name = f"{params.query}-{execution.scheduled_at:%Y%m%dT%H%M%SZ}.csv"
    return {"path": str(written(rows, Path(params.folder), name, draft=f".{execution.id}.draft")), "rows": len(rows)}


@transactional("default")
def fetched(query: str, largest: int) -> list[dict[str, Any]]:
    return [dict(row) for row in get_connection("default").execute(query, {"largest": largest})]


def written(rows: Sequence[dict[str, Any]], folder: Path, name: str, draft: str) -> Path:
    """Under another name first, so that nobody ever reads half a report; a second attempt replaces the first's."""
    folder.mkdir(exist_ok=True)
    with (folder / draft).open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file)
        if rows:
            sheet.writerow(rows[0])
        sheet.writerows(row.values() for row in rows)
    return (folder / draft).replace(folder / name)
