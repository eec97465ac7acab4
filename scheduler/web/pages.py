"""Pages of lists: a cursor says where the next one begins, so that a page costs the same however far it is."""

import base64
import binascii
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from scheduler.web.problems import Problem

T = TypeVar("T")

LARGEST: Final = 500


class Page(BaseModel, Generic[T]):
    """Some of a list."""

    items: list[T]
    next: str | None = Field(description="The `cursor` of the next page; null: this is the last.")


Limit = Annotated[int, Query(ge=1, description=f"How many items at most; above {LARGEST} it is {LARGEST}.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="`next` of the page before; none: the first page.")]


def clamped(limit: int) -> int:
    return min(limit, LARGEST)


def cursor_of(place: int | str) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> str | None:
    """Raises Problem."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _unreadable() from None


def id_of(cursor: str | None) -> int | None:
    """Raises Problem."""
    place = place_of(cursor)
    if place is None:
        return None
    if not (place.isascii() and place.isdecimal() and len(place) <= 19 and int(place) < 2**63):
        raise _unreadable()
    return int(place)


def _unreadable() -> Problem:
    return Problem("invalid", "The cursor is none of this list: send `next` of a page as it is, or begin without one.")
