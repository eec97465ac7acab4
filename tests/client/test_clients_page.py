"""The examples of docs/clients.md run, with stand-ins for the web frameworks, which are not installed here."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psycopg
import pytest

from scheduler.client import Item
from tests.client.conftest import Place
from tests.client.either import echo, worker

PAGE = Path(__file__).resolve().parents[2] / "docs/clients.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
PARAMS = {"path": "a.png"}


def post(path: str) -> Callable[[Any], Any]:
    return lambda function: function


class App:
    def __init__(self, name: str = "") -> None:
        self.post = post


def example(beginning: str, place: Place, monkeypatch: pytest.MonkeyPatch, **modules: dict[str, Any]) -> dict[str, Any]:
    """What the block that begins so defines, with these modules as they are meant there."""
    (block,) = [block for block in BLOCKS if block.startswith(beginning)]
    for name, content in modules.items():
        module = ModuleType(name.replace("_", "."))
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(block.replace("postgresql://…", place.url), namespace)
    return namespace


def test_flask(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    request = SimpleNamespace(get_json=lambda: PARAMS)
    found = example("from flask", place, monkeypatch, flask={"Flask": App, "request": request})
    first, second = found["make_thumbnail"](), found["make_thumbnail"]()
    found["jobs"].close()
    assert first == second == ({"id": place.enqueued()[0]}, 202)


async def test_fastapi(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = example("from fastapi", place, monkeypatch, fastapi={"FastAPI": App})
    with worker(place.url, echo):
        assert await found["make_thumbnail"](PARAMS) == {"file": PARAMS}
    await found["jobs"].close()


def test_django(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(place.url) as own:
        found = example(
            "from django",
            place,
            monkeypatch,
            django={},
            django_db={
                "connection": SimpleNamespace(ensure_connection=lambda: None, connection=own),
                "transaction": SimpleNamespace(atomic=lambda function: function),
            },
            django_http={"JsonResponse": lambda content, status: (content, status)},
        )
        content, status = found["make_thumbnail"](SimpleNamespace(POST=PARAMS))
        assert place.enqueued() == []
    assert (place.enqueued(), status) == ([content["id"]], 202)


def test_the_others_are_python() -> None:
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        compile(block, str(PAGE), "exec")
    assert Item({}).options == {}
