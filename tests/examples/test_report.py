"""`report`: a query of its folder becomes a CSV file."""

import csv
from pathlib import Path

import pytest

from scheduler.errors import FailPermanently, ParamsError
from tests.examples.conftest import ROOT, Call, run

QUERIES = sorted(file.stem for file in (ROOT / "handlers" / "report" / "sql").iterdir())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_the_largest_tables_come_first_whatever_schema_they_are_in(
    call: Call, default_url: str, folder: Path
) -> None:
    run(
        default_url,
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.large AS SELECT repeat('x', 100) FROM generate_series(1, 20000)",
        "CREATE TABLE small AS SELECT repeat('x', 100) FROM generate_series(1, 2000)",
        "SELECT pg_stat_force_next_flush()",
    )
    result = (await call("report", '{"largest": 2}')).value
    assert result == {"path": "reports/largest_tables-19700101T000000Z.csv", "rows": 2}
    rows = table(folder / result["path"])
    assert [(row["table"], row["live_rows"]) for row in rows] == [("shop.large", "20000"), ("public.small", "2000")]
    assert int(rows[0]["bytes"]) > 20_000 * 100


@pytest.mark.parametrize("query", QUERIES)
async def test_each_query_runs(call: Call, default_url: str, folder: Path, query: str) -> None:
    run(
        default_url,
        "INSERT INTO job_executions (handler_name, status, finished_at) VALUES ('a', 'CANCELLED', job_now())",
    )
    result = (await call("report", f'{{"query": "{query}", "folder": "mine"}}')).value
    assert result["rows"] == len(table(folder / result["path"])) > 0
    assert [file.name for file in (folder / "mine").iterdir()] == [Path(result["path"]).name]


async def test_a_second_attempt_replaces_what_the_first_wrote(call: Call, default_url: str, folder: Path) -> None:
    first = await call("report")
    second = await call("report", attempt=2)
    assert first.value["path"] == second.value["path"]
    assert len(list((folder / "reports").iterdir())) == 1


async def test_without_rows_the_file_is_empty(call: Call, default_url: str, folder: Path) -> None:
    result = (await call("report", '{"query": "busiest_handlers"}')).value
    assert result["rows"] == 0
    assert (folder / result["path"]).read_text() == ""


async def test_a_row_names_a_query_and_never_brings_one(call: Call, default_url: str, folder: Path) -> None:
    error = (await call("report", '{"query": "../sql/largest_tables"}')).error
    assert isinstance(error, FailPermanently)
    assert "known are busiest_handlers, largest_tables" in str(error)


@pytest.mark.parametrize("params", ['{"largest": 0}', '{"folder": "../elsewhere"}', '{"folder": "/tmp"}'])
async def test_its_params_are_checked(call: Call, default_url: str, folder: Path, params: str) -> None:
    assert isinstance((await call("report", params)).error, ParamsError)
