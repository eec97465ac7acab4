"""A worker that does as a folder says, and tells what is done to it. Light, so that a test can start many.

python fake_worker.py FOLDER DESCRIPTOR FIRST

`mode` holds words: `slow` (never reports), `silent` (not again), `deaf` (to SIGTERM), `stubborn` (does not retire),
`exit=N` (at the start), and `idle` (exits 0). `report` is what it reports. Both are read over and over, `mode-PID`
before `mode`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

folder, descriptor, first = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"


def say(event: str, **values: object) -> None:
    os.write(1, (json.dumps({"event": f"fake.{event}", "pid": os.getpid(), **values}) + "\n").encode())


def read(name: str) -> str:
    for file in (folder / f"{name}-{os.getpid()}", folder / name):
        if file.exists():
            return file.read_text()
    return ""


def on_signal(number: int, _: object) -> None:
    name, mode = signal.Signals(number).name, read("mode")
    say("signal", name=name)
    if not (name == "SIGTERM" and "deaf" in mode):
        os._exit(0 if name == "SIGTERM" else 1)


if "slow" not in read("mode"):
    for each in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(each, on_signal)


def report() -> None:
    default = {"executions": 0, "load": 0.0, "more_waits": False, "loops": {}}
    os.write(descriptor, (json.dumps(json.loads(read("report") or json.dumps(default))) + "\n").encode())


os.set_blocking(descriptor, False)
if not {"slow", "exit"} & set(read("mode").replace("=", " ").split()):
    report()
say("started", first=first)
while True:
    mode = read("mode").split()
    for word in mode:
        if word.startswith("exit="):
            os._exit(int(word.removeprefix("exit=")))
        if word == "idle":
            os._exit(0)
    if not {"slow", "silent"} & set(mode):
        report()
        try:
            if b"R" in os.read(descriptor, 64) and "stubborn" not in mode:
                say("retired")
                os._exit(0)
        except BlockingIOError:
            pass
    time.sleep(0.02)
