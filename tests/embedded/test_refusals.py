"""A start that would pass over data, or can't work here, is refused with what to do, and changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from scheduler.embedded import EmbeddedPostgres
from scheduler.embedded.binaries import find_binaries
from scheduler.embedded.locks import FileLock
from scheduler.embedded.protocol import START_LOCK
from scheduler.errors import EmbeddedPostgresError
from tests.embedded.conftest import Embed
from tests.embedded.support import PROJECT, ends

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run PostgreSQL in two ways")


def remember(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")


def remembers(server: EmbeddedPostgres) -> bool:
    with psycopg.connect(server.url()) as connection:
        return connection.execute("SELECT n FROM kept").fetchone() == (42,)


def contents(folder: Path) -> set[tuple[Path, int]]:
    return {(path, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def test_data_of_another_major_version(embed: Embed, folder: Path) -> None:
    other = find_binaries().major - 1
    data = folder / f"pg{other}"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{other}\n")
    before = contents(data)
    with pytest.raises(EmbeddedPostgresError, match=rf"data of PostgreSQL {other} .*SCHEDULER_PG_BIN"):
        embed(ephemeral=False).start()
    assert contents(data) == before
    assert list(folder.glob("pg*")) == [data]


@pytest.mark.skipif(not (POSTGRES_15 / "postgres").exists(), reason="needs Debian's PostgreSQL 15")
def test_data_of_postgres_15_waits_for_postgres_15(embed: Embed, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = find_binaries()
    if newer.major == 15:
        pytest.skip("PostgreSQL 15 is the only one here")
    monkeypatch.setenv("SCHEDULER_PG_BIN", str(POSTGRES_15))
    server = embed(ephemeral=False).start()
    assert server.major == 15
    remember(server)
    server.stop()
    assert ends(folder)
    monkeypatch.setenv("SCHEDULER_PG_BIN", str(newer.folder))
    with pytest.raises(EmbeddedPostgresError, match="data of PostgreSQL 15"):
        server.start()
    monkeypatch.setenv("SCHEDULER_PG_BIN", str(POSTGRES_15))
    assert remembers(server.start())


@needs_root
@pytest.mark.parametrize(("first", "second"), [("on", "off"), ("off", "on")])
def test_data_of_another_way_of_running(
    embed: Embed, folder: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    monkeypatch.setenv("SCHEDULER_PG_USERNS", first)
    server = embed(ephemeral=False).start()
    remember(server)
    server.stop()
    assert ends(folder)
    (data,) = folder.glob("pg*")
    before = contents(data.resolve())
    monkeypatch.setenv("SCHEDULER_PG_USERNS", second)
    if data.is_symlink() == (second == "off"):
        pytest.skip("user namespaces are blocked here, so there is one way only")
    with pytest.raises(EmbeddedPostgresError, match="was made by a PostgreSQL that ran as"):
        server.start()
    assert contents(data.resolve()) == before
    monkeypatch.setenv("SCHEDULER_PG_USERNS", first)
    assert remembers(server.start())


@needs_root
def test_data_of_another_user(embed: Embed, folder: Path) -> None:
    data = folder / f"pg{find_binaries().major}"
    data.mkdir(parents=True)
    os.chown(data, NOBODY, NOBODY)
    with pytest.raises(EmbeddedPostgresError, match=r"belongs to .*run as .*, or use another folder"):
        embed(ephemeral=False).start()
    assert list(folder.iterdir()) == [data], "a lock file of ours would lock its owner out"


def test_link_to_data_that_is_gone(embed: Embed, folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / f"pg{find_binaries().major}").symlink_to(tmp_path / "unmounted" / "data")
    with pytest.raises(EmbeddedPostgresError, match=r"is a link to .*, which is gone"):
        embed(ephemeral=False).start()


def test_folder_that_is_not_data(embed: Embed, folder: Path) -> None:
    data = folder / f"pg{find_binaries().major}"
    data.mkdir(parents=True)
    (data / "thesis.txt").write_text("precious")
    with pytest.raises(EmbeddedPostgresError, match=r"is not a PostgreSQL data|was made by a PostgreSQL"):
        embed(ephemeral=False).start()
    assert (data / "thesis.txt").read_text() == "precious"


def test_folder_that_can_not_be_made(folder: Path) -> None:
    folder.write_text("a file is in the way")
    with pytest.raises(EmbeddedPostgresError, match="Name a local folder that you may write to"):
        EmbeddedPostgres(folder).start()


@pytest.mark.parametrize("named", ["nowhere", "."])
def test_chosen_binaries_are_not_passed_over(
    embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("SCHEDULER_PG_BIN", str(tmp_path / named))
    with pytest.raises(EmbeddedPostgresError, match=r"SCHEDULER_PG_BIN names .* no working `postgres`"):
        embed().start()


def test_too_old_binaries(embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("postgres", "initdb"):
        (tmp_path / program).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 12.3'\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("SCHEDULER_PG_BIN", str(tmp_path))
    with pytest.raises(EmbeddedPostgresError, match=r"names PostgreSQL 12\.3 .* 15 or newer"):
        embed().start()


def test_start_waits_no_longer_than_it_may(embed: Embed, folder: Path) -> None:
    folder.mkdir()
    with FileLock(folder / START_LOCK) as held:
        assert held.acquire()
        with pytest.raises(EmbeddedPostgresError, match="Another process has been starting or stopping"):
            embed().start(timeout=0.1)


def test_server_that_takes_longer_than_the_timeout_is_found_by_the_next_start(embed: Embed) -> None:
    server = embed()
    with pytest.raises(EmbeddedPostgresError, match="isn't ready yet; it goes on starting"):
        server.start(timeout=0.05)
    assert server.start().url()


def test_other_platforms_are_told_what_to_do() -> None:
    code = """
import asyncio, logging, shutil, subprocess, sys, tempfile
from pathlib import Path
sys.platform = "win32"
sys.modules["fcntl"] = sys.modules["pwd"] = None
from scheduler.embedded import EmbeddedPostgres
try:
    EmbeddedPostgres(Path("x")).start()
except Exception as error:
    print(type(error).__name__, error)
"""
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert said.startswith("EmbeddedPostgresError The embedded PostgreSQL runs on Linux and macOS, not on win32")
