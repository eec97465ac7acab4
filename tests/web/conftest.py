"""One server for the tests of a module, on tables that each finds empty."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from scheduler.model import Role
from scheduler.operations import tokens
from scheduler.store.session import SyncSession
from scheduler.testing.postgres import ThrowawayPostgres
from tests.web.serving import Api, serving

_EMPTIED = """
    TRUNCATE cron_jobs, job_executions, job_workers, job_queues, job_requests, job_tokens, job_audit RESTART IDENTITY
"""


@pytest.fixture(scope="module")
def server(postgres_server: ThrowawayPostgres, migrated_template: str) -> Iterator[Api]:
    with postgres_server.fresh_database(migrated_template) as url, serving(url) as api:
        yield api


@pytest.fixture
def api(server: Api) -> Api:
    server.rows(_EMPTIED)
    return server


@pytest.fixture
def make_token(api: Api) -> Callable[[Role], str]:
    """`make_token(Role.VIEWER)`; its name is that of the role."""

    def made(role: Role) -> str:
        with closing(SyncSession(api.database_url, "public", "test")) as session:
            return tokens.add(session, role.value, role)

    return made


@pytest.fixture
def viewer(api: Api, make_token: Callable[[Role], str]) -> Api:
    return api.as_holder(make_token(Role.VIEWER))


@pytest.fixture
def operator(api: Api, make_token: Callable[[Role], str]) -> Api:
    return api.as_holder(make_token(Role.OPERATOR))
