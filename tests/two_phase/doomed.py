"""Transactions in processes that are killed at a chosen point: children, forked from here, where all is imported.

Reads a JSON object a line: {"at": failpoint or null, "over": databases, "id": the effect's, "form": "async" | "sync"};
answers each with {"status": how the child ended, as `waitstatus_to_exitcode` tells it}.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from scheduler import failpoints
from scheduler.database import DatabaseRegistry, get_connection, transactional

INSERT = "INSERT INTO effect VALUES (:id)"


def main() -> None:
    urls = json.loads(sys.argv[1])
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _child(urls, json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"status": status}), flush=True)


def _child(urls: Mapping[str, str], told: Mapping[str, Any]) -> NoReturn:
    DatabaseRegistry.configure(urls)
    if told["at"]:
        failpoints.arm(told["at"], lambda: os.kill(os.getpid(), signal.SIGKILL))
    if told["form"] == "async":
        asyncio.run(_async(told["over"], told["id"]))
    else:
        _sync(told["over"], told["id"])
    os._exit(0)


async def _async(over: Sequence[str], number: int) -> None:
    async with transactional(*over):
        for name in over:
            await get_connection(name).execute(INSERT, {"id": number})


def _sync(over: Sequence[str], number: int) -> None:
    with transactional(*over):
        for name in over:
            get_connection(name).execute(INSERT, {"id": number})


if __name__ == "__main__":
    main()
