r"""`scheduler run` with statements that were broken on purpose: a check that stays green on it checks nothing.

python sabotaged.py '[["settle_success", "AND e.claim_token = (SELECT %(tokens)s::uuid[])[o.claim]", ""]]' \
    '{"services.loop.REPEAT_SECONDS": 9}' 0 '["claim"]' run

Constants can be others, too, so that a test needn't wait for what takes long, the process's clock can be wrong by
some seconds, and loops be frozen: those that are named stand still while the folder holds a file `frozen-<name>`.
"""

import asyncio
import json
import sys
import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import time_machine

from scheduler import failpoints
from scheduler.cli import main
from scheduler.store import statements


def sabotage(edits: list[tuple[str, str, str]]) -> None:
    """Replace a part of named statements, in this process."""
    texts = dict(statements._texts())
    for name, sound, broken in edits:
        assert sound in texts[name], f"{name} no longer says {sound!r}"
        texts[name] = texts[name].replace(sound, broken)
    patch.object(statements, "_texts", return_value=texts).start()


def set_constants(values: dict[str, float]) -> None:
    for name, value in values.items():
        module, _, constant = name.rpartition(".")
        found = import_module(f"scheduler.{module}")
        assert hasattr(found, constant), f"there is no {name}"
        setattr(found, constant, value)


def make_freezable(name: str) -> None:
    ice = Path(f"frozen-{name}").absolute()

    async def stand_still() -> None:
        while ice.exists():  # noqa: ASYNC110 - the test removes the file, in another process
            await asyncio.sleep(0.01)

    def stop_the_thread() -> None:
        while ice.exists():
            time.sleep(0.01)

    if name == "heartbeat":
        failpoints.arm("before_heartbeat", stop_the_thread)
    else:
        failpoints.arm(f"loop:{name}", stand_still)


if __name__ == "__main__":
    sabotage(json.loads(sys.argv.pop(1)))
    set_constants(json.loads(sys.argv.pop(1)))
    wrong_by = float(sys.argv.pop(1))
    for loop in json.loads(sys.argv.pop(1)):
        make_freezable(loop)
    with time_machine.travel(time.time() + wrong_by) if wrong_by else nullcontext():
        main()
