"""Where a server's data lies, how it comes to be, and when it is refused rather than passed over."""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from scheduler import failpoints
from scheduler.embedded.binaries import Binaries
from scheduler.embedded.identity import Identity, in_shared_folder, name_of
from scheduler.embedded.locks import FileLock
from scheduler.embedded.postgres_log import PostgresLog
from scheduler.errors import EmbeddedPostgresError

_OF_NOBODY = Path("/var/lib/scheduler")
_EPHEMERAL = "ephemeral"
_BUILTIN_LOCALES_SINCE = 17


def locate(folder: Path, major: int, identity: Identity, *, ephemeral: bool) -> Path:
    """The data directory to use, which may have to be made. Raises EmbeddedPostgresError rather than start beside data.

    Ephemeral data that a killed supervisor left behind is removed.
    """
    if ephemeral:
        entry = folder / _EPHEMERAL
        remove_ephemeral(folder)
    else:
        entry = folder / f"pg{major}"
        _refuse_other_major(folder, entry, major)
        _refuse_other_way(entry, identity)
    if identity.way == "nobody" and not entry.is_symlink():
        home = Path(tempfile.mkdtemp(prefix=f"{folder.parent.name}-", dir=in_shared_folder(_OF_NOBODY)))
        identity.own(home)
        entry.symlink_to(home / entry.name)
    return _target(entry)


def has_data(folder: Path) -> bool:
    """Whether the folder holds that of some version."""
    return any(entry.exists() for entry in _data_in(folder))


def remove_ephemeral(folder: Path) -> None:
    entry = folder / _EPHEMERAL
    if entry.is_symlink():
        discard_home(_target(entry))
        entry.unlink()
    else:
        shutil.rmtree(entry, ignore_errors=True)


def discard_home(data: Path) -> None:
    """Remove data of `nobody` and the folder made for it; data that lies elsewhere stays."""
    if data.is_relative_to(_OF_NOBODY):
        shutil.rmtree(data.parent, ignore_errors=True)


def _target(entry: Path) -> Path:
    return entry.parent / entry.readlink() if entry.is_symlink() else entry


def initialise(
    data: Path, binaries: Binaries, identity: Identity, *, durable: bool, log: PostgresLog, lock: FileLock
) -> None:
    """Make the data directory if it isn't there. Raises EmbeddedPostgresError with what `initdb` said.

    It is made under another name and renamed, so that a killed `initdb` leaves no half of one.
    """
    for unfinished in data.parent.glob("init.*"):
        shutil.rmtree(unfinished)
    if (data / "PG_VERSION").exists():
        return
    draft = Path(tempfile.mkdtemp(prefix="init.", dir=data.parent))
    identity.own(draft)
    command: list[str | Path] = [binaries.initdb, "-D", draft, "-U", "postgres", "-A", "trust"]
    command += ["--encoding=UTF8", "--locale=C"]
    if binaries.major >= _BUILTIN_LOCALES_SINCE:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        command += ["--no-sync"]
    with identity.spawn(command, output=log.file, holding=lock, on_parent_death=signal.SIGKILL) as initdb:
        failed = initdb.wait() != 0
    failpoints.hit("embedded_after_initdb")
    if failed:
        shutil.rmtree(draft)
        raise EmbeddedPostgresError(f"`initdb` could not make {data}; it said:\n{log.news()}")
    draft.rename(data)


def _data_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("pg*") if re.fullmatch(r"pg\d+", path.name))


def _refuse_other_major(folder: Path, entry: Path, major: int) -> None:
    if os.path.lexists(entry):
        return
    others = _data_in(folder)
    if others:
        found = others[-1].name
        raise EmbeddedPostgresError(
            f"{folder} holds the data of PostgreSQL {found[2:]} ({found}), but the server found here is {major}: "
            f"set SCHEDULER_PG_BIN to the folder of PostgreSQL {found[2:]}'s programs to go on with that data, "
            f"or move {folder / found} away to begin anew. Nothing was changed."
        )


def _refuse_other_way(entry: Path, identity: Identity) -> None:
    if not os.path.lexists(entry):
        return
    data = _target(entry)
    if not data.parent.is_dir():
        raise EmbeddedPostgresError(
            f"{entry} is a link to {data}, which is gone: bring it back, or remove the link to begin anew."
        )
    if not data.exists():
        return  # an interrupted first start
    owner = data.stat().st_uid
    if owner != identity.uid:
        raise EmbeddedPostgresError(
            f"{entry} was made by a PostgreSQL that ran as {name_of(owner)}, but here it would run as "
            f"{name_of(identity.uid)}: {_way_back(owner, identity)}, "
            "or move it away to begin anew. Nothing was changed."
        )
    if any(data.iterdir()) and not (data / "PG_VERSION").exists():
        raise EmbeddedPostgresError(f"{data} is not a PostgreSQL data directory: move it away to begin anew.")


def _way_back(owner: int, identity: Identity) -> str:
    if identity.way == "nobody" and owner == os.geteuid():
        return "allow user namespaces (Docker: --security-opt seccomp=unconfined; SCHEDULER_PG_USERNS unset)"
    if identity.way == "namespace" and os.geteuid() == 0:
        return "set SCHEDULER_PG_USERNS=off to go on with it"
    return f"run as {name_of(owner)}"
