r"""`scheduler run` with statements that were broken on purpose: a check that stays green on it checks nothing.

python sabotaged.py '[["settle_success", "AND e.claim_token = o.token", ""]]' \
    '{"services.loop.REPEAT_SECONDS": 9}' 0 run

Constants can be others, too, so that a test needn't wait for what takes long, and the process's clock can be wrong by
some seconds.
"""

import json
import sys
import time
from contextlib import nullcontext
from importlib import import_module
from unittest.mock import patch

import time_machine

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


if __name__ == "__main__":
    sabotage(json.loads(sys.argv.pop(1)))
    set_constants(json.loads(sys.argv.pop(1)))
    wrong_by = float(sys.argv.pop(1))
    with time_machine.travel(time.time() + wrong_by) if wrong_by else nullcontext():
        main()
