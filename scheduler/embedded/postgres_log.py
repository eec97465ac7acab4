"""The log of the PostgreSQL processes, and what they said lately."""

from pathlib import Path
from typing import Self

from scheduler.embedded.protocol import POSTGRES_LOG

_KEPT_BYTES = 10_000_000
_QUOTED_BYTES = 2000


class PostgresLog:
    """postgres.log, open for writing. A long one is set aside as postgres.log.old first."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / POSTGRES_LOG
        if self.path.exists() and self.path.stat().st_size > _KEPT_BYTES:
            self.path.replace(self.path.with_suffix(".log.old"))
        self.file = self.path.open("ab")
        self._opened_at = self.file.tell()

    def news(self) -> str:
        """The end of what was written since this object was made."""
        return self.path.read_bytes()[self._opened_at :][-_QUOTED_BYTES:].decode(errors="replace").strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
