"""Serve the application: where it may, and until it is asked to end."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from signal import SIGINT, SIGTERM, Signals
from socket import AF_INET, AF_INET6, IPPROTO_TCP, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET
from typing import Final

import uvicorn
from fastapi import FastAPI

from scheduler.app import Project
from scheduler.config.web import is_loopback
from scheduler.errors import ConfigurationError
from scheduler.messages import log
from scheduler.operations import tokens
from scheduler.store.session import SyncSession
from scheduler.web.app import create_app

_BACKLOG: Final = 2_048
_SHUTDOWN_SECONDS: Final = 5
"""What answers that are under way may take at the end; streams are cut."""


def serve(project: Project) -> None:
    """Until SIGTERM or SIGINT.

    Raises ConfigurationError for an address that can't be had, and for one that others reach while there is no token.
    """
    settings = project.settings.web
    _require_tokens(project)
    limit = settings.statement_timeout_seconds

    def open_session() -> SyncSession:
        return project.session("scheduler web", statement_seconds=limit)

    app = create_app(settings, open_session, project.database.conninfo, project.schema)
    listening = listen(settings.host, settings.port)
    with closing(listening):
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        log("web.served", address=shown, port=listening.getsockname()[1])
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        asyncio.run(_Server(config, app).serve([listening]))
    log("web.stopped")


class _Server(uvicorn.Server):
    """Ends on a signal, which is no failure."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As the base class does, which would raise the signal again at the end."""
        loop = asyncio.get_running_loop()
        for number in (SIGINT, SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        try:
            yield
        finally:
            for number in (SIGINT, SIGTERM):
                loop.remove_signal_handler(number)

    def _end(self, number: Signals) -> None:
        self.handle_exit(number, None)
        self._app.state.around.streams.close()


def _require_tokens(project: Project) -> None:
    settings = project.settings.web
    if not settings.needs_token:
        return
    with closing(project.session("scheduler web")) as session:
        if any(not token.expired for token in tokens.tokens(session)):
            return
    where = f"web.host is {settings.host}" if not is_loopback(settings.host) else "web asks for tokens"
    raise ConfigurationError(
        f"{where}, and there is no token yet, so that nobody could use it: make one with "
        "`scheduler web token add NAME --role admin`, or serve this host alone with web.host: 127.0.0.1."
    )


def listen(host: str, port: int) -> socket.socket:
    """Raises ConfigurationError.

    The protocol is named, for by it asyncio knows to send small answers at once, not 40 ms later.
    """
    listening = socket.socket(AF_INET6 if ":" in host else AF_INET, SOCK_STREAM, IPPROTO_TCP)
    try:
        listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"web.host: {host} can't be listened at on port {port}: {error.strerror or error}. Write another web.port "
            "or web.host, or end what has it."
        ) from None
    return listening
