"""posting: one POST, to an address that was looked at, within a time; what the answer says is not read."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

from scheduler.errors import ForbiddenTargetError, UndeliveredError
from scheduler.services.alerts.addresses import resolve

SECONDS: Final = 10.0
"""For all of it, however slowly the other side goes on."""


class _Connection(HTTPConnection):
    """Connects to a resolved address, and speaks to the host by its name."""

    def __init__(self, host: str, port: int, *, encrypted: bool, private: bool) -> None:
        super().__init__(host, port, timeout=SECONDS)
        self._encrypted, self._private = encrypted, private

    def connect(self) -> None:
        family, place = resolve(self.host, self.port, private=self._private)
        plain = socket.socket(family, socket.SOCK_STREAM)
        self.sock = plain
        plain.settimeout(SECONDS)
        plain.connect(place)
        if self._encrypted:
            context = ssl.create_default_context()
            wrapped = context.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = wrapped
            wrapped.do_handshake()

    def hang_up(self) -> None:
        """From another thread, whatever it waits for."""
        if self.sock is not None:
            with suppress(OSError):  # not connected yet, or no more
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def post(url: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> int:
    """The status of the answer, 200 to 299.

    Raises ForbiddenTargetError where the url leads somewhere that it may not, and UndeliveredError.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise ForbiddenTargetError("An alert is sent by https only, unless its target is `private: true`.")
    encrypted = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if encrypted else 80)
    connection = _Connection(host, port, encrypted=encrypted, private=private)
    timer = Timer(SECONDS, connection.hang_up)
    timer.daemon = True
    timer.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise UndeliveredError(f"{host} did not take the alert: {error or type(error).__name__}") from None
    finally:
        timer.cancel()
        connection.close()
    if not 200 <= status < 300:
        raise UndeliveredError(f"{host} answered {status}, and the alert is not delivered.")
    return status
