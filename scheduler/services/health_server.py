"""The pages of `health`, by HTTP, from threads of their own: they answer while an event loop hangs, too."""

import json
import socketserver
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from threading import Thread
from typing import Any, Final

from scheduler.errors import ConfigurationError
from scheduler.messages import log
from scheduler.services.health import Examine, page

_SHUTDOWN_POLL_SECONDS: Final = 0.1


@contextmanager
def serving(address: str, port: int | None, *, health: Examine, live: Examine) -> Iterator[None]:
    """Answer at `/health` and `/live` meanwhile; nowhere if `port` is None, at any free port if it is 0.

    Raises ConfigurationError when the address can't be had.
    """
    if port is None:
        yield
        return
    try:
        server = _Server(address, port, {"/health": health, "/live": live})
    except OSError as error:
        raise ConfigurationError(
            f"worker.health_port: {address} can't be listened at on port {port}: {error.strerror or error}. "
            "Write another worker.health_port or worker.health_address, or end what has it."
        ) from None
    thread = Thread(target=partial(server.serve_forever, _SHUTDOWN_POLL_SECONDS), name="scheduler-health", daemon=True)
    thread.start()
    log("health.served", address=f"[{address}]" if ":" in address else address, port=server.server_address[1])
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    """A prober that lingers delays nobody's end."""

    def __init__(self, address: str, port: int, pages: Mapping[str, Examine]) -> None:
        self.address_family = AF_INET6 if ":" in address else AF_INET
        self.pages = pages
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Without asking for the name of this host, as HTTPServer does: that may take long and is of no use."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A prober that has gone is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0

    def do_GET(self) -> None:
        body = self._answered()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self._answered()

    def _answered(self) -> bytes:
        """Send the head; the body."""
        examine = self.server.pages.get(self.path.partition("?")[0])
        if examine is None:
            status, said = HTTPStatus.NOT_FOUND, {"pages": sorted(self.server.pages)}
        else:
            healthy, said = page(examine())
            status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps(said).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return body

    def version_string(self) -> str:
        return "scheduler"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """A prober asks every few seconds."""
