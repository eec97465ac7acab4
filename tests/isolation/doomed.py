"""A worker that is about to be killed: it says which processes there are, and waits.

python doomed.py FOLDER
"""

import asyncio
import sys
from pathlib import Path

from scheduler.testing.isolation_contract import Signals
from tests.isolation.processes import begun, pool


async def main(folder: Path) -> None:
    async with pool() as isolation:
        pids = [await isolation.server_pid()]
        for name in ("c_loop", "deaf", "forks"):
            (folder / name).mkdir()
            with Signals(folder / name) as signals:
                pids.append((await begun(isolation, name, signals))[1])
        print(*pids, (folder / "forks" / "grandchild").read_text(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
