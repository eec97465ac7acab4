"""What a statement brought back."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

from sqlalchemy import CursorResult, Row

from scheduler.errors import QueryExecutionError


class Result:
    """All rows of one statement, already fetched. Iterating gives each row as a dict by column name."""

    def __init__(self, rows: Sequence[Row[Any]], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount
        """How many rows the statement changed or returned; -1 where the server doesn't say."""

    @classmethod
    def fetched(cls, cursor: CursorResult[Any]) -> Self:
        rows = cursor.all() if cursor.returns_rows else ()
        return cls(rows, cursor.rowcount)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (row._asdict() for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def all(self) -> list[dict[str, Any]]:
        return list(self)

    def first(self) -> dict[str, Any] | None:
        """The first row, or None without rows."""
        return next(iter(self), None)

    def one(self) -> dict[str, Any]:
        """The only row. Raises QueryExecutionError when there is none or more than one."""
        if len(self._rows) != 1:
            raise QueryExecutionError(f"Exactly one row was expected, the statement returned {len(self._rows)}.")
        return self._rows[0]._asdict()

    def scalar(self) -> Any:
        """The first column of the first row, or None without rows."""
        return self._rows[0][0] if self._rows else None

    def scalars(self) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self._rows]
