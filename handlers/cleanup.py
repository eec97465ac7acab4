"""Deletes old files, such as last month's reports.

    scheduler cron add 'old reports' '@daily' cleanup --params '{"folder": "reports", "older_than_days": 30}'
    scheduler jobs enqueue cleanup '{"folder": "reports", "dry_run": true}'

A row chooses among the folders that its params allow, and what a symbolic link points to is never touched.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, Field

from scheduler import current_execution, handler

SECONDS_A_DAY = 86_400


class CleanupParams(BaseModel):
    folder: Literal["outbox", "reports"]
    older_than_days: float = Field(30, gt=0)
    """By the time of the last change."""
    pattern: str = "*"
    """Of the file's name, as a shell has it."""
    dry_run: bool = False
    """Only count."""


class CleanupResult(BaseModel):
    files: int = 0
    bytes_freed: int = 0
    dry_run: bool


class OldFile(NamedTuple):
    name: str
    size: int
    folder: int
    """An open descriptor: the file is found through it even if its folder is moved or replaced meanwhile."""


@handler("cleanup", timeout=600)
def cleanup(params: CleanupParams) -> CleanupResult:
    execution, result = current_execution(), CleanupResult(dry_run=params.dry_run)
    total = sum(1 for _ in old_files(params))
    for file in old_files(params):
        if execution.cancelled:  # a thread has to look by itself
            break
        if not params.dry_run:
            with suppress(FileNotFoundError):
                os.unlink(file.name, dir_fd=file.folder)
        result.files += 1
        result.bytes_freed += file.size
        execution.progress(min(1.0, result.files / total), f"{result.files} of {total} files")
    return result


def old_files(params: CleanupParams) -> Iterator[OldFile]:
    """Regular files only, at any depth. A folder that isn't there yet has none."""
    latest = time.time() - params.older_than_days * SECONDS_A_DAY
    if not Path(params.folder).is_dir():
        return
    for _, _, names, folder in os.fwalk(os.path.realpath(params.folder), follow_symlinks=False):
        for name in names:
            with suppress(FileNotFoundError):  # somebody else was faster
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_mtime < latest and fnmatch(name, params.pattern):
                    yield OldFile(name, found.st_size, folder)
