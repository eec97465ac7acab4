"""A worker process of a benchmark: `python -m scheduler.app.bench.worker SCHEMA`, in the folder of the project.

It says `ready` once it has found nothing to do, answers each line on stdin with the CPU seconds that it has used, and
ends when stdin does: at the latest with its parent.
"""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from time import process_time

from scheduler.app.application import Application
from scheduler.app.bench.place import on_schema
from scheduler.app.project import Project

_READY = "ready"


def main(schema: str) -> None:
    threading.Thread(target=_answer, daemon=True).start()
    project = on_schema(Project.open(Path.cwd(), quiet=True), schema)
    try:
        asyncio.run(_work(Application(project, parts=("worker", "planner"))))
    finally:
        project.close()


async def _work(application: Application) -> None:
    begun = asyncio.create_task(_begun(application))
    try:
        await application.run()
    finally:
        begun.cancel()


async def _begun(application: Application) -> None:
    await application.worker.found_nothing()
    _say(_READY)


def _answer() -> None:
    try:
        while os.read(sys.stdin.fileno(), 1):  # not by the lock of sys.stdin, which a thread may not hold at the end
            _say(str(process_time()))
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _say(answer: str) -> None:
    os.write(sys.stdout.fileno(), f"{answer}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
