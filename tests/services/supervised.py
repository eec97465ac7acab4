"""A supervisor of fake workers as a process of its own, which logs to stdout.

python -m tests.services.supervised FOLDER CREW CONSTANTS
"""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

from scheduler.messages import configure
from scheduler.services import supervisor
from scheduler.services.crew import Crew
from scheduler.services.supervisor import Supervisor

FAKE = Path(__file__).with_name("fake_worker.py")


def main(folder: Path, crew: Crew, constants: dict[str, float]) -> int:
    for name, value in constants.items():
        setattr(supervisor, name, value)
    configure("debug", "json", stream=sys.stdout)

    def start(descriptor: int, first: bool) -> subprocess.Popen[bytes]:
        if (folder / "full").exists():
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        command = [sys.executable, "-S", "-E", str(FAKE), str(folder), str(descriptor), str(first)]
        return subprocess.Popen(command, pass_fds=[descriptor])

    return Supervisor(start, crew).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Crew(**json.loads(sys.argv[2])), json.loads(sys.argv[3])))
