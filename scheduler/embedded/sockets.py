"""The folder of the server's socket. The server trusts whoever reaches it, so only its own user may enter.

It lies in the temporary directory, since a socket's path may not be longer than 103 bytes; `sockets` in the project's
folder is a link to it, by which the next supervisor finds and uses it again.
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from scheduler.embedded.identity import Identity
from scheduler.embedded.protocol import SOCKETS

_PREFIX = "scheduler-pg-"
_LONGEST_PARENT = 60  # bytes; leaves room for the folder's and the socket's names


def make(folder: Path, identity: Identity) -> Path:
    """The socket folder that a killed supervisor left, or a new one. A link that isn't ours is replaced."""
    link = folder / SOCKETS
    if link.is_symlink():
        left = link.readlink()
        if _is_private(left, identity):
            return left
        remove(folder)
    made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_parent(identity)))
    identity.own(made)
    link.symlink_to(made)
    return made


def remove(folder: Path) -> None:
    link = folder / SOCKETS
    if link.is_symlink():
        discard(link.readlink())
        link.unlink()


def discard(sockets: Path) -> None:
    if sockets.name.startswith(_PREFIX):
        shutil.rmtree(sockets, ignore_errors=True)


def _parent(identity: Identity) -> Path:
    temporary = Path(tempfile.gettempdir())
    fits = len(os.fsencode(temporary)) <= _LONGEST_PARENT and identity.way != "nobody"
    return temporary if fits else Path("/tmp")


def _is_private(path: Path, identity: Identity) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    return private and found.st_uid == identity.uid and path.name.startswith(_PREFIX)
