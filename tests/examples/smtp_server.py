"""A mail server for tests: as much of SMTP as a client needs, in the test's own event loop."""

import asyncio
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

_STANDARD = {"EHLO": "250 HELP", "STARTTLS": "220 go on", "AUTH": "235 come in", "DATA": "354 go on", "QUIT": "221 bye"}


@dataclass(slots=True)
class SmtpServer:
    """What it offers, what it answers to commands with a certain beginning, and what it was given."""

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    """TLS from the first byte instead of STARTTLS."""
    extensions: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    """Instead of the usual ones; a message is answered as the command `.`."""
    port: int = 0
    commands: list[str] = field(default_factory=list)
    """As they came; one that came encrypted begins with `tls `."""
    messages: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        encrypted = self.tls if self.implicit else None
        server = await asyncio.start_server(self._serve, "localhost", 0, family=socket.AF_INET, ssl=encrypted)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):  # the client has gone
            writer.write(b"220 ready\r\n")
            while command := (await reader.readuntil(b"\r\n")).decode().rstrip():
                self.commands.append(f"tls {command}" if writer.get_extra_info("ssl_object") else command)
                answer = self._answer(command)
                writer.write(f"{answer}\r\n".encode())
                if answer == _STANDARD["STARTTLS"] and self.tls is not None:
                    await writer.start_tls(self.tls)
                elif answer == _STANDARD["DATA"]:
                    self.messages.append(await _message(reader))
                    writer.write(f"{self._answer('.')}\r\n".encode())
        writer.close()

    def _answer(self, command: str) -> str:
        for beginning, answer in self.answers.items():
            if command.startswith(beginning):
                return answer
        word = command.split()[0].upper()
        offered = ["localhost", *self.extensions, *(["STARTTLS"] if self.tls and not self.implicit else [])]
        lines = [f"250-{name}" for name in offered] if word == "EHLO" else []
        return "\r\n".join([*lines, _STANDARD.get(word, "250 ok")])


async def _message(reader: StreamReader) -> bytes:
    text = await reader.readuntil(b"\r\n.\r\n")
    return text.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
