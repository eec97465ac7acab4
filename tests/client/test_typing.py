"""What a type checker says of calls: each `type: ignore` is an error that mypy has to find."""

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from scheduler import AsyncClient, BaseHandler, Client, ParamsError, handler
from scheduler.client import Item
from tests.client.conftest import Place


class Thumbnail(BaseModel):
    path: str
    width: int = 100


@handler("test.typed.thumbnail")
async def thumbnail(params: Thumbnail) -> str:
    return params.path


@handler("test.typed.resize")
class Resize(BaseHandler):
    def execute(self, params: Thumbnail) -> None: ...


@handler("test.typed.tick")
def tick() -> None: ...


@handler("test.typed.plain")
def plain(params: dict[str, Any]) -> None: ...


if TYPE_CHECKING:

    async def checked(jobs: Client, others: AsyncClient) -> None:
        jobs.enqueue(thumbnail, Thumbnail(path="a"), priority=3)
        jobs.enqueue(Resize, Thumbnail(path="a"))
        jobs.enqueue(tick)
        jobs.enqueue(plain, {"a": 1})
        jobs.enqueue("thumbnail", {"path": "a"})
        jobs.enqueue_many(thumbnail, [Thumbnail(path="a"), Thumbnail(path="b")])
        jobs.enqueue_many(thumbnail, [Item(Thumbnail(path="a"), delay=5)])
        mixed: list[Thumbnail | Item[Thumbnail]] = [Thumbnail(path="a"), Item(Thumbnail(path="b"), delay=5)]
        jobs.enqueue_many(thumbnail, mixed)
        jobs.enqueue_many(tick, [None, None])
        jobs.enqueue_many("thumbnail", [{"path": "a"}, Item({"path": "b"}, delay=5)])
        jobs.call(thumbnail, Thumbnail(path="a"), timeout=3)
        await others.enqueue(Resize, Thumbnail(path="a"))
        await others.call(thumbnail, Thumbnail(path="a"))

        jobs.enqueue(thumbnail, {"path": "a"})  # type: ignore[arg-type]
        jobs.enqueue(thumbnail)  # type: ignore[arg-type]
        jobs.enqueue(Resize, "a")  # type: ignore[arg-type]
        jobs.enqueue(tick, {"a": 1})  # type: ignore[arg-type]
        jobs.enqueue(plain, [1])  # type: ignore[arg-type]
        jobs.enqueue(thumbnail, Thumbnail(path="a"), prioritie=3)  # type: ignore[call-overload]
        jobs.enqueue(thumbnail, Thumbnail(path="a"), on_conflict="ignore")  # type: ignore[call-overload]
        jobs.enqueue_many(thumbnail, ["a"])  # type: ignore[arg-type]
        jobs.call(Resize, 5)  # type: ignore[arg-type]
        await others.enqueue(thumbnail, {"path": "a"})  # type: ignore[arg-type]
        await others.call(tick, 5)  # type: ignore[arg-type]


def test_what_is_wrong_is_refused_at_the_call_too(place: Place) -> None:
    for params in ({"width": 1}, {"path": "a", "width": "wide"}, [1]):
        with pytest.raises(ParamsError, match=r"^The params don't fit handler 'test\.typed\.thumbnail'"):
            Client().enqueue(thumbnail, params)  # type: ignore[arg-type]  # what is tested
    assert place.enqueued() == []
