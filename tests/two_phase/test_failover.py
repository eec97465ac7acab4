"""A participant's primary is lost and its standby promoted: what was prepared is there, and is settled there."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import psycopg
import pytest

from scheduler.database import DatabaseRegistry, recovery
from scheduler.embedded import EmbeddedPostgres
from scheduler.embedded.binaries import find_binaries
from scheduler.testing.postgres import ThrowawayPostgres
from tests.two_phase.conftest import TABLE, Place
from tests.two_phase.test_recovery import prepare


@contextmanager
def standby(primary: ThrowawayPostgres, folder: Path) -> Iterator[EmbeddedPostgres]:
    """A copy that follows it."""
    folder.mkdir(mode=0o700)
    copy = find_binaries().folder / "pg_basebackup"
    if not copy.exists():
        pytest.skip("this PostgreSQL comes without pg_basebackup")
    if (folder.parent / "primary" / "ephemeral").is_symlink():
        pytest.skip("servers run as nobody here, on data in a place of its own")
    data = folder / f"pg{primary.major}"
    options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
    subprocess.run([copy, "--dbname", primary.url(), "--pgdata", data, *options], check=True, capture_output=True)
    with EmbeddedPostgres(folder) as server:
        yield server


def either(*urls: str) -> str:
    """The url that leads to whichever of them takes writes."""
    hosts = ",".join(parse_qs(urlsplit(url).query)["host"][0] for url in urls)
    return f"postgresql://postgres@/postgres?host={quote(hosts)}&target_session_attrs=read-write"


def catch_up(primary: str, follower: str) -> None:
    with psycopg.connect(primary, autocommit=True) as here, psycopg.connect(follower, autocommit=True) as there:
        (reached,) = here.execute("SELECT pg_current_wal_insert_lsn()").fetchall()
        while there.execute("SELECT pg_last_wal_replay_lsn() >= %s", reached).fetchall() != [(True,)]:
            time.sleep(0.02)


def until_it_is_gone(url: str) -> None:
    with suppress(psycopg.OperationalError):
        while True:
            psycopg.connect(url).close()
            time.sleep(0.02)


async def settle() -> recovery.Report:
    return await recovery.recover(DatabaseRegistry.get("default"), [DatabaseRegistry.get("business")])


async def test_a_promoted_standby_hears_of_what_its_primary_has_prepared(place: Place, tmp_path: Path) -> None:
    with ExitStack() as life:
        primary = life.enter_context(ThrowawayPostgres(tmp_path / "primary"))
        old = primary.url()
        with standby(primary, tmp_path / "standby") as follower:
            new = follower.url()
            before = Place({"default": place.urls["default"], "business": old})
            before.run(TABLE, database="business")
            decided, undecided = (f"sched:{place.installation()}:{uuid4()}" for _ in range(2))
            prepare(before, f"{decided}:1", 1)
            prepare(before, f"{undecided}:1", 2)
            place.run(
                "INSERT INTO job_transactions (gid, decision, participants) VALUES (%s, 'COMMIT', '{business}')",
                decided,
            )
            catch_up(old, new)
            DatabaseRegistry.configure({"default": place.urls["default"], "business": either(old, new)})

            life.close()
            until_it_is_gone(old)
            assert list((await settle()).failed) == ["business"]
            with psycopg.connect(new, autocommit=True) as connection:
                assert connection.execute("SELECT pg_promote()").fetchall() == [(True,)]
            report = await settle()

            assert {each.gid: each.decision for each in report.carried_out} == {decided: "COMMIT", undecided: "ABORT"}
            after = Place({"default": place.urls["default"], "business": new})
            assert after.effects()[1] == [1]
            assert after.prepared() == []
            await DatabaseRegistry.dispose()
