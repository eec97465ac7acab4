"""The detached process that is postgres' parent: it starts it, restarts it after a crash, and stops it when unused."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from scheduler.clock import monotonic
from scheduler.embedded import data, sockets
from scheduler.embedded.binaries import Binaries
from scheduler.embedded.copies import within_reach
from scheduler.embedded.identity import choose_identity
from scheduler.embedded.locks import FileLock
from scheduler.embedded.postmaster import Postmaster
from scheduler.embedded.protocol import START_LOCK, SUPERVISOR_LOCK, USERS_LOCK, Endpoint, Order, Reply
from scheduler.embedded.signals import Signals
from scheduler.errors import EmbeddedPostgresError
from scheduler.messages import configure, log

_POLL_SECONDS = 0.25
_LINGER_SECONDS = 1.0  # spares the next of several short commands a start
_PREDECESSOR_SECONDS = 30
_MOST_CRASHES = 5
_CRASH_WINDOW_SECONDS = 60
_STDOUT = 1


def main(order: str) -> None:
    """Detach, so that the launching process is nobody's parent, and supervise until the server isn't used any more."""
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    configure()
    sys.exit(supervise(Order.from_json(order)))


def supervise(order: Order) -> int:
    """Serve one order. Returns the exit code: 1 if the server could not be started."""
    folder = Path(order.folder)
    signals = Signals()
    with FileLock(folder / SUPERVISOR_LOCK) as alive:
        try:
            _succeed(alive)
            watch = Watch(order, _launch(order), alive, signals)
        except (EmbeddedPostgresError, OSError, subprocess.SubprocessError) as error:
            if alive.acquire():
                _clean_up(order, alive)
            _answer(order, Reply(error=str(error)))
            return 1
        _answer(order, Reply())
        log("embedded.stopping", reason=watch.run())
        watch.postmaster.stop()
        if alive.is_in_place():
            Endpoint.forget(folder)
        _clean_up(order, alive)
        _clean_up_elsewhere(watch.postmaster)
    return 0


def _succeed(alive: FileLock) -> None:
    """Wait for the last instructions of an earlier supervisor: start.lock, which let us in, may be dropped first."""
    if not alive.wait(monotonic() + _PREDECESSOR_SECONDS):
        raise EmbeddedPostgresError(f"{alive.path} is held by another process: end that process and try again.")


def _launch(order: Order) -> Postmaster:
    folder = Path(order.folder)
    identity = choose_identity()
    binaries = within_reach(Binaries(Path(order.bin), order.version), identity)
    postmaster = Postmaster(
        folder=folder,
        data=data.locate(folder, binaries.major, identity, ephemeral=order.ephemeral),
        sockets=sockets.make(folder, identity),
        binaries=binaries,
        identity=identity,
        ephemeral=order.ephemeral,
        settings=order.settings,
    )
    postmaster.create_data()
    postmaster.start()
    return postmaster


def _answer(order: Order, reply: Reply) -> None:
    """Let the launching process go on. It may be gone; another one may be waiting for start.lock."""
    os.close(order.start_lock)
    try:
        os.write(_STDOUT, reply.to_json())
    except BrokenPipeError:
        pass
    finally:
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)


def _clean_up(order: Order, alive: FileLock) -> None:
    """Leave nothing behind but durable data; nothing at all in a folder that isn't ours any more."""
    if alive.is_in_place():
        sockets.remove(Path(order.folder))
        if order.ephemeral:
            data.remove_ephemeral(Path(order.folder))


def _clean_up_elsewhere(postmaster: Postmaster) -> None:
    """What lies outside of the folder, and would outlive it if somebody removed it."""
    sockets.discard(postmaster.sockets)
    if postmaster.ephemeral:
        data.discard_home(postmaster.data)


@dataclass(slots=True)
class Watch:
    """Keeps the server up as long as it is used."""

    order: Order
    postmaster: Postmaster
    alive: FileLock
    signals: Signals
    users: FileLock = field(init=False)
    starting: FileLock = field(init=False)
    unused_since: float | None = None
    crashes: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.users = FileLock(Path(self.order.folder) / USERS_LOCK)
        self.starting = FileLock(Path(self.order.folder) / START_LOCK)

    def run(self) -> str:
        """Return why the server is to be stopped. If it is unused, nobody can join it any more."""
        while True:
            self.signals.sleep(_POLL_SECONDS)
            if self.signals.stop_asked:
                return "the supervisor was asked to stop"
            if not self.alive.is_in_place():
                return "its folder was removed"
            if self.postmaster.exit_status() is not None and not self._restart():
                return "it does not stay up"
            if self._is_unused():
                return "nobody uses it"

    def _is_unused(self) -> bool:
        """True after a while without users; start.lock and users.lock are then ours until this process ends."""
        if not self.starting.acquire():
            return False  # somebody is joining
        if self.users.acquire():
            now = monotonic()
            self.unused_since = self.unused_since or now
            if self.order.ephemeral or now - self.unused_since >= _LINGER_SECONDS:
                return True
            self.users.release()
        else:
            self.unused_since = None
        self.starting.release()
        return False

    def _restart(self) -> bool:
        """Try once. False if that was tried too often lately."""
        log("embedded.crashed", status=self.postmaster.exit_status())
        now = monotonic()
        self.crashes = [at for at in self.crashes if now - at < _CRASH_WINDOW_SECONDS] + [now]
        if len(self.crashes) > _MOST_CRASHES:
            return False
        try:
            self.postmaster.start()
        except (EmbeddedPostgresError, OSError, subprocess.SubprocessError) as error:
            log("embedded.restart_failed", error=error)
        return True
