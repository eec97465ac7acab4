"""Handlers with bad manners, for processes of their own."""

import asyncio
import itertools
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from scheduler import current_execution, handler
from scheduler.database import get_connection, transactional
from scheduler.testing.contract_handlers import Folder, announce, wait_for_release

IMPORTED_IN = os.getpid()


def begin(folder: Path) -> None:
    """Leave the number of this process for the test, and say so."""
    (folder / "pid").write_text(str(os.getpid()))
    announce(folder)


def leave_grandchild(folder: Path) -> None:
    (folder / "new").write_text(str(os.getpid()))
    (folder / "new").rename(folder / "grandchild")
    time.sleep(3600)
    os._exit(0)


def wait_for_grandchild(folder: Path) -> None:
    while not (folder / "grandchild").exists():
        time.sleep(0.001)


@handler("own_pid", run_in="process")
def own_pid() -> int:
    return os.getpid()


@handler("places", run_in="process")
def places() -> dict[str, Any]:
    return {"pid": os.getpid(), "parent": os.getppid(), "imported_in": IMPORTED_IN, "group": os.getpgrp()}


@handler("open_files", run_in="process")
def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@handler("signals", run_in="process")
def signals() -> list[str]:
    """Those that a program started here would ignore."""
    return [each.name for each in signal.Signals if signal.getsignal(each) is signal.SIG_IGN]


@handler("talk", run_in="process")
def talk() -> None:
    print("said in a process")


@handler("spin", run_in="process")
def spin(params: Folder) -> None:
    begin(params.folder)
    while True:
        pass


@handler("c_loop", run_in="process")
def c_loop(params: Folder) -> None:
    """Never lets go of the interpreter."""
    begin(params.folder)
    sum(itertools.repeat(0))


@handler("deaf", run_in="process")
def deaf(params: Folder) -> None:
    begin(params.folder)
    while True:
        try:
            while True:
                time.sleep(3600)
        except BaseException:
            (params.folder / "heard").touch()


@handler("deaf_coroutine", run_in="process")
async def deaf_coroutine(params: Folder) -> None:
    begin(params.folder)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            (params.folder / "heard").touch()


@handler("tidy", run_in="process")
def tidy(params: Folder) -> None:
    begin(params.folder)
    try:
        time.sleep(3600)
    finally:
        (params.folder / "tidied").touch()


@handler("late", run_in="process")
def late(params: Folder) -> str:
    """Has its result when SIGTERM comes."""
    begin(params.folder)
    with suppress(BaseException):
        time.sleep(3600)
    return "done all the same"


@handler("forks", run_in="process")
def forks(params: Folder) -> None:
    """With a process of its own group beside it."""
    if os.fork() == 0:
        leave_grandchild(params.folder)
    wait_for_grandchild(params.folder)
    begin(params.folder)
    time.sleep(3600)


class Escape(Folder):
    dies: bool


@handler("escapes", run_in="process")
def escapes(params: Escape) -> str:
    """Leaves a process of another group, which holds open all that it held."""
    if os.fork() == 0:
        os.setsid()
        leave_grandchild(params.folder)
    wait_for_grandchild(params.folder)
    if params.dies:
        os._exit(7)
    return "left one behind"


@handler("exits", run_in="process")
def exits() -> None:
    os._exit(7)


@handler("crashes", run_in="process")
def crashes() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@handler("waits", run_in="process")
def waits(params: Folder) -> None:
    begin(params.folder)
    time.sleep(3600)


class Greed(BaseModel):
    megabytes: int


@handler("greedy", run_in="process", max_memory_mb=100)
def greedy(params: Greed) -> int:
    return len(bytearray(params.megabytes * 1024 * 1024))


@handler("greedy_for_ever", run_in="process", max_memory_mb=100)
def greedy_for_ever(params: Greed) -> int:
    kept.append(bytearray(params.megabytes * 1024 * 1024))
    return len(kept)


kept: list[bytearray] = []


@handler("sleeps_in_the_database", run_in="process")
def sleeps_in_the_database(params: Folder) -> None:
    with transactional():
        connection = get_connection()
        connection.execute("SELECT 1")
        begin(params.folder)
        while True:
            try:
                connection.execute("SELECT pg_sleep(3600)")
            except BaseException:
                time.sleep(3600)


@handler("sleeps_in_the_database_async", run_in="process")
async def sleeps_in_the_database_async(params: Folder) -> None:
    async with transactional():
        connection = get_connection()
        await connection.execute("SELECT 1")
        begin(params.folder)
        await connection.execute("SELECT pg_sleep(3600)")


@handler("listens_for_release", run_in="process")
def listens_for_release(params: Folder) -> str:
    begin(params.folder)
    wait_for_release(params.folder)
    return "released"


@handler("listen_then_pid", run_in="process")
def listen_then_pid(params: Folder) -> int:
    begin(params.folder)
    while not current_execution().cancelled:
        time.sleep(0.001)
    return os.getpid()
