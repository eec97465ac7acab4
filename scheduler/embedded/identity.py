"""As whom PostgreSQL's programs run: they refuse root, and `initdb` refuses a user without a name.

Root doesn't add users and changes no modes. Its postgres runs in a user namespace that shows root as `nobody`: inside
not root, outside still root, so that a project below a private home stays within reach. Where namespaces are blocked
(Docker's default seccomp profile) it becomes `nobody` for real; then all that runs as `nobody` may read the data.
"""

import ctypes
import errno
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from scheduler.clock import monotonic
from scheduler.embedded.locks import FileLock
from scheduler.errors import EmbeddedPostgresError

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_THREADS_END_SECONDS = 1.0
_FOREIGN_VARIABLES = ("PG", "LC_", "LANG")  # a locale that isn't installed makes initdb fail


@dataclass(frozen=True, slots=True)
class Identity:
    """A way of running, and the user (as seen from outside) that the server's files belong to.

    plain: as the calling user. namespace: in a user namespace, shown as `shown_as`. nobody: as `uid`, really.
    """

    way: Literal["plain", "namespace", "nobody"]
    uid: int
    gid: int
    shown_as: tuple[int, int] | None = None

    def own(self, path: Path) -> None:
        """Give a path that the caller has just made to the user that the server runs as."""
        if self.way == "nobody":
            os.chown(path, self.uid, self.gid)

    def can_run(self, *command: str | Path) -> bool:
        try:
            with self._popen(command, output=subprocess.DEVNULL, on_parent_death=signal.SIGKILL) as process:
                return process.wait() == 0
        except (OSError, subprocess.SubprocessError):
            return False

    def spawn(
        self, command: Sequence[str | Path], *, output: IO[bytes], holding: FileLock, on_parent_death: signal.Signals
    ) -> subprocess.Popen[bytes]:
        """Start a program that holds `holding` as long as it or a child of it lives.

        On Linux it gets `on_parent_death` when the calling thread ends, so call it from the main thread.
        """
        return self._popen(command, output=output, on_parent_death=on_parent_death, pass_fds=(holding.fd,))

    def _popen(
        self,
        command: Sequence[str | Path],
        *,
        output: IO[bytes] | int,
        on_parent_death: signal.Signals,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        becomes = self.way == "nobody"
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=_environment(os.environ),
            pass_fds=pass_fds,
            user=self.uid if becomes else None,
            group=self.gid if becomes else None,
            extra_groups=[] if becomes else None,
            preexec_fn=_before_exec(self.shown_as, on_parent_death),
        )


def choose_identity() -> Identity:
    """How a server can run here. Raises EmbeddedPostgresError where it can't."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        return _of_user(uid, gid)
    stranger = _anyone_but_root()
    if os.environ.get("SCHEDULER_PG_USERNS") != "off":
        hidden = _in_namespace(uid, gid, stranger)
        if _works(hidden):
            return hidden
    nobody = Identity("nobody", stranger.pw_uid, stranger.pw_gid)
    if _works(nobody):
        return nobody
    raise EmbeddedPostgresError(
        "PostgreSQL doesn't run as root, and root may neither make a user namespace here nor become "
        f"{stranger.pw_name!r}: run as an ordinary user, give back the dropped capabilities, "
        "or set SCHEDULER_DATABASE_URL."
    )


def _of_user(uid: int, gid: int) -> Identity:
    if _has_name(uid):
        return Identity("plain", uid, gid)
    named = _in_namespace(uid, gid, _anyone_but_root())
    if _works(named):
        return named
    raise EmbeddedPostgresError(
        f"PostgreSQL needs a user with a name, and user id {uid} has none: add a line for it to /etc/passwd, "
        "allow user namespaces, or set SCHEDULER_DATABASE_URL."
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def name_of(uid: int) -> str:
    """The user's name, or "user id 4242"."""
    return pwd.getpwuid(uid).pw_name if _has_name(uid) else f"user id {uid}"


def _anyone_but_root() -> pwd.struct_passwd:
    users = {user.pw_name: user for user in pwd.getpwall() if user.pw_uid != 0}
    if not users:
        raise EmbeddedPostgresError("PostgreSQL doesn't run as root, and /etc/passwd names nobody else: add a user.")
    return users.get("nobody") or users.get("daemon") or next(iter(users.values()))


def _in_namespace(uid: int, gid: int, shown_as: pwd.struct_passwd) -> Identity:
    return Identity("namespace", uid, gid, (shown_as.pw_uid, shown_as.pw_gid))


def _works(identity: Identity) -> bool:
    if identity.way == "namespace" and sys.platform != "linux":
        return False
    return identity.can_run("/bin/sh", "-c", 'test "$(id -u)" != 0')


def in_shared_folder(path: Path) -> Path:
    """Make a folder that `nobody` can enter, whatever the umask is."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
    return path


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in ours.items() if not k.startswith(_FOREIGN_VARIABLES)} | {"LC_ALL": "C", "TZ": "UTC"}


def _before_exec(shown_as: tuple[int, int] | None, on_parent_death: signal.Signals) -> Callable[[], None] | None:
    """What the child does last: enter its namespace, then tie its life to the parent's (entering would untie it)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        if shown_as is not None:
            _enter_namespace(libc, *shown_as)
        libc.prctl(_PR_SET_PDEATHSIG, int(on_parent_death))
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return prepare


def _enter_namespace(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    deadline = monotonic() + _THREADS_END_SECONDS
    while libc.unshare(_CLONE_NEWUSER):
        # Libraries that are told of a fork may start threads in the child. One that was joined lives on for a moment.
        if ctypes.get_errno() != errno.EINVAL or monotonic() > deadline:
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
        time.sleep(0.001)
    maps = {"setgroups": "deny", "uid_map": f"{uid} {outer_uid} 1", "gid_map": f"{gid} {outer_gid} 1"}
    for file, line in maps.items():
        Path("/proc/self", file).write_text(line)
