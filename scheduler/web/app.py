"""The application: routes behind the guard, over one desk and one client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from scheduler import __version__
from scheduler.client import AsyncClient
from scheduler.clock import monotonic
from scheduler.config.web import WebSettings
from scheduler.errors import SchedulerError
from scheduler.operations import tokens
from scheduler.store.session import SyncSession
from scheduler.web import openapi, problems
from scheduler.web.caller import Surroundings
from scheduler.web.desk import Desk
from scheduler.web.guard import Guard, Principal, Rules, hosts_of
from scheduler.web.kept import Kept
from scheduler.web.problems import Problem
from scheduler.web.routes import calls, cron_jobs, events, executions, queues, system
from scheduler.web.streams import Streams

PREFIX: Final = "/api/v1"
_KNOWN_SECONDS: Final = 5.0
"""How long a token is known without looking: so long one that was removed is still taken."""
_MOST_KNOWN: Final = 1_000
_MEASURED_SECONDS: Final = 5.0
"""How old the values of metrics may be: however many ask, so seldom is the database asked."""


def create_app(settings: WebSettings, open_session: Callable[[], SyncSession], url: str, schema: str) -> FastAPI:
    """`open_session` makes sessions of the job database, which is at `url`; they are closed at the app's end."""

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        app.state.around = around = Surroundings(
            Desk(open_session, settings.connections),
            AsyncClient(url, schema=schema),
            Streams(settings.max_streams),
            Kept(_MEASURED_SECONDS),
            tuple(settings.redact),
        )
        try:
            yield
        finally:
            await asyncio.to_thread(around.desk.close)
            await around.client.close()

    app = FastAPI(
        title="scheduler",
        summary="Cron jobs and background jobs as rows in Postgres.",
        version=__version__,
        openapi_url=openapi.PATH,
        docs_url=None,  # its scripts would come from another server
        redoc_url=None,
        lifespan=alive,
        redirect_slashes=False,
        exception_handlers={
            Problem: problems.of_problem,
            SchedulerError: problems.of_scheduler_error,
            RequestValidationError: problems.of_validation,
            HTTPException: problems.of_http_exception,
            Exception: problems.of_fault,
        },
    )
    for part in (events, executions, calls, cron_jobs, queues, system):
        app.include_router(part.router, prefix=PREFIX)
    app.include_router(system.probes)
    app.include_router(system.metrics)
    app.openapi = lambda: openapi.described(app)  # type: ignore[method-assign]  # as its documentation says
    rules = Rules(hosts_of(settings.host, settings.allowed_hosts), settings.needs_token, settings.max_body_bytes)
    app.add_middleware(Guard, rules=rules, identify=_Identities(app).of)
    return app


class _Identities:
    """Whose a token is, looked up at most every few seconds."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._known: dict[str, tuple[float, Principal]] = {}

    async def of(self, token: str) -> Principal | None:
        """Raises as `Desk.do()` does."""
        now = monotonic()
        known = self._known.get(token)
        if known is not None and now - known[0] < _KNOWN_SECONDS:
            return known[1]
        around: Surroundings = self._app.state.around
        holder = await around.desk.do(None, tokens.holder, token)
        if holder is None:
            self._known.pop(token, None)
            return None
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        principal = Principal(holder.name, holder.role)
        self._known[token] = now, principal
        return principal
