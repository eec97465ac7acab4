"""The disk of the server is full: nothing can be written for a while, and once there is room everything goes on."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from scheduler.store.migration import migrate
from scheduler.testing.postgres import ThrowawayPostgres
from tests.faults.harness import PATIENCE_SECONDS, Scene

MEGABYTE = 1024 * 1024
SIZE = 200
"""Megabytes: a new cluster has some 40 of them, and the log of its writes up to 64."""
SETTINGS = {"synchronous_commit": "on", "full_page_writes": "on", "min_wal_size": "32MB", "max_wal_size": "64MB"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=0755", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root outside of a container may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(MEGABYTE))


def write_until_refused(url: str) -> psycopg.Error:
    """The proof that the disk is full: what the server says to whoever writes more than it had room for already."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(SIZE):
            try:
                connection.execute("INSERT INTO filling SELECT gen_random_uuid() FROM generate_series(1, 20000)")
            except psycopg.Error as error:
                return error
    raise AssertionError("the disk is not full")


def test_once_there_is_room_again_everything_goes_on(disk: Path, tmp_path: Path) -> None:
    with ThrowawayPostgres(disk / "postgres", settings=SETTINGS) as postgres:
        migrate(postgres.url())
        with Scene(tmp_path / "project", postgres.url()) as scene:
            scene.rows("CREATE TABLE filling (id uuid)")
            worker = scene.worker(WORKER__POOL_SIZE=10)
            cron_job = scene.cron_job("every second", "* * * * * *", "work", overlap_policy="allow")
            ids = scene.enqueue("work", {"seconds": 0.05, "padding": "x" * 500}, count=2000)
            scene.until_true("SELECT count(*) > 5 FROM job_executions WHERE status = 'SUCCESS'")
            fill(disk / "filler")
            refused = write_until_refused(postgres.url())
            assert refused.sqlstate in ("53100", "57P02", None), refused  # or it crashed, for want of room for its log
            worker.said("loop.failed")
            (disk / "filler").unlink()
            scene.until_true("SELECT true")
            scene.rows("DROP TABLE filling")
            scene.until_all("SUCCESS", ids, seconds=3 * PATIENCE_SECONDS)
            assert worker.is_up
            assert worker.is_up
            back = scene.value("SELECT clock_timestamp()")
            scene.until_true("SELECT max(scheduled_at) > %s FROM job_executions WHERE cron_job_id = %s", back, cron_job)
            scene.rows("UPDATE cron_jobs SET enabled = false")
            scene.until(0, "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')")
            scene.assert_sound()
