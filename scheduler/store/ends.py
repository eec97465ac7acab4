"""Hearing of the ends of executions that somebody waits for. That is only a hint to look: polling is the truth.

One thread and one connection serve all that wait in a client, threads and tasks of any event loop; both are there only
while somebody waits, and a minute longer. Behind a pooler nothing is heard, and everybody polls.
"""

import os
import selectors
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import psycopg

from scheduler.database.libpq import connect_sync
from scheduler.store.statements import done_channel, quote

Ring = Callable[[int | None], None]
"""Called in the listening thread with the id that is final, or with None when listening begins: look at all of them."""

_IDLE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 5.0
_GOODBYE_SECONDS: Final = 5.0


class Ends:
    """Of one schema. Usable from every thread; a fork begins anew."""

    def __init__(self, url: str, schema: str) -> None:
        self.url, self.schema = url, schema
        self._listener: _Listener | None = None
        self._forget()

    @contextmanager
    def heard_by(self, ring: Ring, ids: Collection[int] | None = None) -> Iterator[None]:
        """Within, `ring` is called for each of `ids`, or for all; and once as soon as something can be heard."""
        if self._pid != os.getpid():
            self._forget()
        wanted: Collection[int | None] = [None] if ids is None else ids
        with self._lock:
            for id_ in wanted:
                self._rings.setdefault(id_, []).append(ring)
            if self._listener is None:
                self._listener = _Listener(self)
                self._listener.start()
            listens = self._listener.listens
        if listens:
            ring(None)
        try:
            yield
        finally:
            with self._lock:
                for id_ in wanted:
                    self._leave(id_, ring)

    def tell(self, id_: int | None) -> None:
        """Ring for whoever waits for it; None: for everybody."""
        with self._lock:
            if id_ is None:
                rings = {id(ring): ring for waiting in self._rings.values() for ring in waiting}.values()
            else:
                rings = {id(ring): ring for key in (id_, None) for ring in self._rings.get(key, ())}.values()
        for ring in rings:
            ring(id_)

    def is_over(self, listener: "_Listener", *, idle: bool = False) -> bool:
        """Whether this listener ends, decided under the lock: who comes later has another."""
        with self._lock:
            if self._listener is listener and not (idle and not self._rings):
                return False
            if self._listener is listener:
                self._listener = None
            return True

    def close(self) -> None:
        """Stop listening. Whoever still waits goes on by polling."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None and self._pid == os.getpid():
            listener.wake()
            listener.join(_GOODBYE_SECONDS)

    def _forget(self) -> None:
        """Nothing is closed: after a fork it is the parent's."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._rings: dict[int | None, list[Ring]] = {}
        self._listener = None

    def _leave(self, id_: int | None, ring: Ring) -> None:
        rings = self._rings[id_]
        rings.remove(ring)
        if not rings:
            del self._rings[id_]


class _Listener(threading.Thread):
    def __init__(self, ends: Ends) -> None:
        super().__init__(name="scheduler client listener", daemon=True)
        self._ends = ends
        self._woken, self._wake = socket.socketpair()
        self.listens = False

    def wake(self) -> None:
        with suppress(OSError):  # it has just ended by itself
            self._wake.send(b"\0")

    def run(self) -> None:
        with self._woken, self._wake:
            while not self._ends.is_over(self):
                try:
                    self._listen()
                except (psycopg.Error, OSError):
                    self._pause(_RETRY_SECONDS)
                finally:
                    self.listens = False

    def _listen(self) -> None:
        connection = connect_sync(self._ends.url, application_name="scheduler client listener")
        with closing(connection), selectors.DefaultSelector() as selector:
            connection.execute(f"LISTEN {quote(done_channel(self._ends.schema))}".encode())
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            self.listens = True
            self._ends.tell(None)
            ready = True
            while not self._ends.is_over(self, idle=not ready):
                for heard in connection.notifies(timeout=0):
                    if heard.payload.isdecimal():  # anybody may notify
                        self._ends.tell(int(heard.payload))
                ready = bool(selector.select(_IDLE_SECONDS))

    def _pause(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.select(seconds)
