"""The newcomer's first five minutes, as a real user types them: see five_minutes.sh."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("five_minutes.sh")


def test_they_go_well(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    chosen = {name: value for name, value in os.environ.items() if name == "SCHEDULER_PG_BIN"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    typed = subprocess.run(
        ["bash", SCRIPT],
        cwd=tmp_path,
        env={**inherited, **chosen, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    assert typed.returncode == 0, typed.stdout
