"""A listener before a server, which speaks TLS where the server doesn't, and can lose what the server answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 65_536


class Front:
    """Hands on what comes to `port`, and the answers, but for the next one if `loses_an_answer` is set."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.loses_an_answer = False
        self._server_port = server_port
        self._connections: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._forth(reader, server_writer), self._back(server_reader, writer))

    async def end(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _forth(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        try:
            while data := await client.read(_CHUNK_BYTES):
                server.write(data)
                await server.drain()
        finally:
            server.close()

    async def _back(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """An answer is lost with its connection."""
        try:
            while data := await server.read(_CHUNK_BYTES):
                if self.loses_an_answer:
                    self.loses_an_answer = False
                    return
                client.write(data)
                await client.drain()
        finally:
            client.close()


@asynccontextmanager
async def front(server_port: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Front]:
    front = Front(server_port)
    listener = await asyncio.start_server(front.connected, "127.0.0.1", 0, ssl=tls)
    front.port = listener.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        listener.close()
        await front.end()
