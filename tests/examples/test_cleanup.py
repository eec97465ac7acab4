"""`cleanup`: old files go, and nothing that lies elsewhere."""

import os
import time
from pathlib import Path

import pytest

from scheduler.errors import ParamsError
from tests.examples.conftest import Call

DAY = 86_400


def aged(file: Path, days: float, text: str = "12345") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (time.time() - days * DAY,) * 2)
    return file


def left(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}


async def test_old_files_go_and_young_ones_stay(call: Call, folder: Path) -> None:
    for name, days in {"old.csv": 31, "sub/older.csv": 400, "young.csv": 29}.items():
        aged(folder / "reports" / name, days)
    result = (await call("cleanup", '{"folder": "reports"}')).value
    assert (result.files, result.bytes_freed, result.dry_run) == (2, 10, False)
    assert left(folder / "reports") == {"young.csv"}


async def test_a_dry_run_only_counts(call: Call, folder: Path) -> None:
    aged(folder / "outbox" / "old.eml", 2)
    params = '{"folder": "outbox", "older_than_days": 1, "dry_run": true}'
    result = (await call("cleanup", params)).value
    assert (result.files, result.bytes_freed, result.dry_run) == (1, 5, True)
    assert left(folder / "outbox") == {"old.eml"}


async def test_a_pattern_chooses(call: Call, folder: Path) -> None:
    aged(folder / "reports" / "a.csv", 40)
    aged(folder / "reports" / "a.txt", 40)
    await call("cleanup", '{"folder": "reports", "pattern": "*.csv"}')
    assert left(folder / "reports") == {"a.txt"}


async def test_symbolic_links_lead_nowhere(call: Call, folder: Path) -> None:
    elsewhere = aged(folder / "elsewhere" / "precious.txt", 400)
    (folder / "reports").mkdir()
    (folder / "reports" / "file").symlink_to(elsewhere)
    (folder / "reports" / "folder").symlink_to(elsewhere.parent)
    assert (await call("cleanup", '{"folder": "reports"}')).value.files == 0
    assert elsewhere.exists()
    assert (folder / "reports" / "file").is_symlink()


async def test_a_folder_that_is_itself_a_link_was_put_there_by_its_owner(call: Call, folder: Path) -> None:
    aged(folder / "disk" / "old.csv", 31)
    (folder / "reports").symlink_to(folder / "disk")
    assert (await call("cleanup", '{"folder": "reports"}')).value.files == 1


async def test_a_folder_that_is_not_there_yet_is_clean(call: Call, folder: Path) -> None:
    assert (await call("cleanup", '{"folder": "reports"}')).value.files == 0


@pytest.mark.parametrize("name", ["..", "/", "handlers", "reports/../handlers"])
async def test_a_row_can_not_name_another_folder(call: Call, folder: Path, name: str) -> None:
    aged(folder / "handlers" / "precious.py", 400)
    assert isinstance((await call("cleanup", f'{{"folder": "{name}"}}')).error, ParamsError)
    assert left(folder) == {"handlers/precious.py"}
