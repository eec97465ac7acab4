"""Messages between a worker and its children: a length of four bytes, then as much JSON. Both ends are this product."""

import json
import socket
import struct
from asyncio import IncompleteReadError, StreamReader
from typing import Any, Final

Message = dict[str, Any]

_LENGTH: Final = struct.Struct("!I")
_FILE: Final = b"f"


def framed(message: Message) -> bytes:
    body = json.dumps(message).encode()
    return _LENGTH.pack(len(body)) + body


def send(channel: socket.socket, message: Message) -> None:
    """Raises OSError when the other end is gone."""
    channel.sendall(framed(message))


def receive(channel: socket.socket) -> Message | None:
    """The next message; None when the other end is gone."""
    try:
        length = _exactly(channel, _LENGTH.size)
        body = length and _exactly(channel, *_LENGTH.unpack(length))
    except ConnectionError:
        return None
    return json.loads(body) if body else None


async def receive_from(reader: StreamReader) -> Message | None:
    """The same of a stream."""
    try:
        length = await reader.readexactly(_LENGTH.size)
        return dict(json.loads(await reader.readexactly(*_LENGTH.unpack(length))))
    except (IncompleteReadError, ConnectionError):
        return None


def send_channel(channel: socket.socket, given: socket.socket) -> None:
    """Give the other end a channel of its own. Raises OSError when it is gone."""
    socket.send_fds(channel, [_FILE], [given.fileno()])


def receive_channel(channel: socket.socket) -> socket.socket:
    """What `send_channel` gave. Raises ConnectionError when the other end is gone."""
    _, descriptors, _, _ = socket.recv_fds(channel, len(_FILE), 1)
    if not descriptors:
        raise ConnectionError("the other end is gone")
    return socket.socket(fileno=descriptors[0])


def _exactly(channel: socket.socket, count: int) -> bytes | None:
    found = bytearray()
    while len(found) < count:
        part = channel.recv(count - len(found))
        if not part:
            return None
        found += part
    return bytes(found)
