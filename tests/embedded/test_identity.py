import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.embedded import copies, identity
from scheduler.embedded.binaries import Binaries
from scheduler.embedded.copies import within_reach
from scheduler.embedded.identity import Identity, choose_identity
from scheduler.embedded.locks import FileLock
from scheduler.errors import EmbeddedPostgresError

TOLD_OF_FORKS = """
import os, threading, time
from scheduler.embedded.identity import choose_identity

def a_thread_that_ends_soon():
    threading.Thread(target=time.sleep, args=(0.05,)).start()

before = choose_identity().way
os.register_at_fork(after_in_child=a_thread_that_ends_soon)
print(before, choose_identity().way)
"""
NOBODY = Identity("nobody", 65534, 65534)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody else takes root")


def test_programs_never_run_as_root() -> None:
    chosen = choose_identity()
    assert chosen.can_run("/bin/sh", "-c", 'test "$(id -u)" != 0')
    assert chosen.can_run("/bin/sh", "-c", "id -un"), "initdb needs a name"


def test_programs_see_no_locale_and_no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    monkeypatch.setenv("PGPORT", "1")
    assert choose_identity().can_run("/bin/sh", "-c", 'test "$LC_ALL" = C && test -z "$PGPORT"')


@needs_root
def test_threads_that_a_fork_brings_up_change_nothing() -> None:
    """As OpenTelemetry's does: a process with two threads may make no namespace."""
    before, after = subprocess.check_output([sys.executable, "-c", TOLD_OF_FORKS], text=True).split()
    assert after == before


@needs_root
def test_user_without_a_name_gets_one_or_is_told_to() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(4242)
        os.setuid(4242)
        try:
            os.write(write, choose_identity().way.encode())
        except EmbeddedPostgresError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    assert said == "namespace" or "user id 4242 has none" in said


@needs_root
def test_root_that_may_do_neither_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_works", lambda _: False)
    with pytest.raises(EmbeddedPostgresError, match="may neither make a user namespace here nor become"):
        choose_identity()


@needs_root
def test_programs_out_of_reach_are_copied_and_old_copies_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "copies"
    monkeypatch.setattr(copies, "_COPIES", store)
    for name in ("unused-17", "used-16"):
        (store / name).mkdir(parents=True)
    postgres = tmp_path / "private" / "wheel" / "pginstall" / "bin" / "postgres"
    postgres.parent.mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    postgres.parent.chmod(0o700)
    postgres.write_text("#!/bin/sh\n")
    postgres.chmod(0o755)
    library = tmp_path / "private" / "wheel.libs" / "libpq.so"
    library.parent.mkdir()
    library.write_text("code")

    with FileLock(store / "used-16" / "in-use.lock") as used:
        assert used.acquire(shared=True)
        reached = within_reach(Binaries(postgres.parent, "18.6"), NOBODY)
        again = within_reach(Binaries(postgres.parent, "18.6"), NOBODY)

    assert reached == again
    assert reached.postgres.is_relative_to(store)
    assert subprocess.run([reached.postgres], check=False).returncode == 0
    assert reached.folder.stat().st_mode & 0o777 == 0o755
    assert (reached.folder / "../../../wheel.libs/libpq.so").read_text() == "code"
    assert {copy.name for copy in store.iterdir() if copy.is_dir()} == {reached.folder.parents[2].name, "used-16"}


def test_programs_within_reach_are_used_where_they_are(tmp_path: Path) -> None:
    postgres = tmp_path / "postgres"
    postgres.write_text("#!/bin/sh\n")
    postgres.chmod(0o755)
    binaries = Binaries(tmp_path, "18.6")
    assert within_reach(binaries, Identity("plain", os.geteuid(), os.getegid())) is binaries
