"""A server of the test's own, at a free port, and clients of it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import uvicorn

from scheduler.config.web import WebSettings
from scheduler.store.session import SyncSession
from scheduler.web.app import create_app
from scheduler.web.server import listen

PATIENCE = 30.0


class Api:
    """Asks one server, as whoever has `token`."""

    def __init__(self, url: str, database_url: str, token: str | None = None) -> None:
        self.url, self.database_url = url, database_url
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        limits = httpx.Limits(max_connections=None)  # or the 101st of many at once would wait here for its turn
        self.http = httpx.Client(base_url=url, headers=headers, timeout=3 * PATIENCE, limits=limits)
        self._holders: list[Api] = []

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(f"/api/v1{path}", params=params)

    def post(self, path: str, json: Any = None, **headers: str) -> httpx.Response:
        return self.http.post(f"/api/v1{path}", json=json, headers=headers)

    def patch(self, path: str, json: Any) -> httpx.Response:
        return self.http.patch(f"/api/v1{path}", json=json)

    def delete(self, path: str) -> httpx.Response:
        return self.http.delete(f"/api/v1{path}")

    def as_holder(self, token: str) -> "Api":
        """The same server, asked with a token; closed with this one."""
        self._holders.append(holder := Api(self.url, self.database_url, token))
        return holder

    def close(self) -> None:
        for each in (self, *self._holders):
            each.http.close()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Beside the server, in psql."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def serving(database_url: str, **settings: Any) -> Iterator[Api]:
    """A server with these settings in a thread, until the block ends."""
    web = WebSettings(**settings)

    def open_session() -> SyncSession:
        return SyncSession(database_url, "public", "scheduler web", statement_seconds=web.statement_timeout_seconds)

    app = create_app(web, open_session, database_url, "public")
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    api = Api(f"http://127.0.0.1:{listening.getsockname()[1]}", database_url)
    try:
        yield api
    finally:
        api.close()
        server.should_exit = True
        thread.join()
        listening.close()


def problem(response: httpx.Response, status: int, kind: str) -> str:
    """What a refusal says, once it is seen to be one of that kind."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"urn:pg-scheduler:problem:{kind}"
    assert body["status"] == status
    said: str = body["detail"]
    return said
