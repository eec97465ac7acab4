"""`maintenance`: ANALYZE of the tables that are named, and of no other."""

import pytest

from scheduler.errors import FailPermanently, ParamsError
from tests.examples.conftest import Call, run

ANALYZED = """
    SELECT schemaname || '.' || relname FROM pg_stat_user_tables WHERE analyze_count > 0
    ORDER BY schemaname <> 'public', relname"""


async def test_the_named_tables_are_analyzed(call: Call, default_url: str) -> None:
    run(default_url, "CREATE SCHEMA shop", 'CREATE TABLE shop."Odd ""name" (id int)', "CREATE TABLE other (id int)")
    result = (await call("maintenance", r'{"tables": ["cron_jobs", "shop.Odd \"name"]}')).value
    assert result == {"analyzed": ["public.cron_jobs", 'shop."Odd ""name"']}
    assert run(default_url, "SELECT pg_stat_clear_snapshot()", ANALYZED) == [("public.cron_jobs",), ('shop.Odd "name',)]


async def test_one_that_is_not_there_stops_all(call: Call, default_url: str) -> None:
    error = (await call("maintenance", '{"tables": ["cron_jobs", "corn_jobs", "x; DROP TABLE cron_jobs"]}')).error
    assert isinstance(error, FailPermanently)
    assert str(error).startswith("No such table in the database 'default': corn_jobs, x; DROP TABLE cron_jobs. Nothing")
    assert run(default_url, ANALYZED) == []


@pytest.mark.parametrize("view", ["job_history", "pg_catalog.pg_views", "cron_jobs_pkey"])
async def test_only_tables_have_statistics(call: Call, default_url: str, view: str) -> None:
    assert isinstance((await call("maintenance", f'{{"tables": ["{view}"]}}')).error, FailPermanently)


async def test_its_params_are_checked(call: Call, default_url: str) -> None:
    assert isinstance((await call("maintenance", '{"tables": []}')).error, ParamsError)
