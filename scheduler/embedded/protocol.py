"""What a user process and the supervisor tell each other: the order, the endpoint, the names of their files."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

START_LOCK = "start.lock"
USERS_LOCK = "users.lock"
SUPERVISOR_LOCK = "supervisor.lock"
POSTGRES_LOCK = "postgres.lock"
SUPERVISOR_LOG = "supervisor.log"
POSTGRES_LOG = "postgres.log"
SOCKETS = "sockets"
PORT = 5432

_ENDPOINT = "endpoint.json"


@dataclass(frozen=True, slots=True)
class Order:
    """What a supervisor is started with. `start_lock` is the inherited descriptor of start.lock."""

    folder: str
    bin: str
    version: str
    ephemeral: bool
    settings: Mapping[str, str]
    start_lock: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running server, or one that was killed. Who is alive is told by the locks, never by the process ids."""

    sockets: str
    version: str
    ephemeral: bool
    supervisor: int
    postmaster: int

    def write(self, folder: Path) -> None:
        """Replace the folder's endpoint in one step; a reader sees the old one or the new one."""
        draft = folder / f"{_ENDPOINT}.new"
        draft.write_text(json.dumps(asdict(self)))
        os.replace(draft, folder / _ENDPOINT)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        try:
            return cls(**json.loads((folder / _ENDPOINT).read_text()))
        except FileNotFoundError:
            return None

    @staticmethod
    def forget(folder: Path) -> None:
        (folder / _ENDPOINT).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a supervisor says once: the error with which it gave up, or nothing, and the endpoint is written."""

    error: str | None = None

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        return cls(**json.loads(text))
