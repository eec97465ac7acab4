"""Where each peer lives: an environment of its own under .bench/, made once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.catalogue import Peer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".bench"
OWN = ("--no-deps", "--require-hashes", "-r", str(ROOT / "constraints.txt"))
"""What this checkout needs, to run it under another interpreter than the one that runs this."""

_python = sys.executable


def use(python: str) -> str:
    """Run all that is in Python under this interpreter; its version. Raises CalledProcessError, FileNotFoundError."""
    global _python
    _python = python
    asked = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", asked], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def command(peer: Peer) -> list[str]:
    """What starts the peer's client; its environment is made first if need be.

    Raises CalledProcessError where it can't be installed here.
    """
    packages = peer.packages or OWN
    if packages is OWN and _python == sys.executable:
        return [_python, str(peer.script)]
    folder = FOLDER / (peer.client.partition(".")[0] if peer.packages else "own")
    on_node = peer.script.suffix == ".mjs"
    stamp, wanted = folder / "installed.json", json.dumps([*packages, *([] if on_node else [_python])])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {', '.join(peer.packages or ['what this checkout needs'])} …", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if on_node:
            (folder / "package.json").write_text("{}")
            quiet = ("--silent", "--no-audit", "--no-fund", "--no-package-lock")
            subprocess.run(["npm", "install", *quiet, *packages], cwd=folder, check=True)
        else:
            subprocess.run([_python, "-m", "venv", folder / "env"], check=True)
            pip = [folder / "env" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *packages], check=True)
        stamp.write_text(wanted)
    runner = folder / "node_modules" / ".bin" / "node" if on_node else folder / "env" / "bin" / "python"
    return [str(runner), str(peer.script)]


def variables(peer: Peer) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SCHEDULER_", "PG"))}
    return kept | {
        "PYTHONPATH": str(ROOT) if not peer.packages else "",
        "PYTHONUNBUFFERED": "1",
        "PEER_FOLDER": str(FOLDER / peer.client.partition(".")[0]),
        # What peers warn about is theirs.
        "PYTHONWARNINGS": "ignore",
        "NODE_NO_WARNINGS": "1",
    }
