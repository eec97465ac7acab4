"""Whatever a handler returns can be stored."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pydantic import BaseModel, computed_field
from pydantic_core import to_json

from scheduler.handlers import encode_result
from scheduler.handlers.results import MAX_BYTES


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class Hostile(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise SystemExit(3)

    def __len__(self) -> int:
        raise MemoryError


class HostileDict(dict[str, Any]):
    """Looks like a dict until one looks."""

    def items(self) -> Any:
        raise KeyboardInterrupt


class Leaving(BaseModel):
    @computed_field
    def total(self) -> int:
        raise SystemExit(4)


class Nobody:
    """Has no class that could be asked for."""

    @property  # type: ignore[misc]  # that is what is wrong with it
    def __class__(self) -> Any:
        raise SystemExit(6)


class Message(BaseModel):
    text: str


@dataclass
class Point:
    x: int
    at: datetime


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"kept": 1}
    value["self"] = value
    return value


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({}, {}),
        ({"sent": True}, {"sent": True}),
        ("text", "text"),
        (False, False),
        ([1, 2.5, None], [1, 2.5, None]),
        (Point(1, datetime(2026, 1, 8, tzinfo=UTC)), {"x": 1, "at": "2026-01-08T00:00:00Z"}),
        (Message(text="né"), {"text": "né"}),
        ({"d": Decimal("1.10"), "t": timedelta(hours=1)}, {"d": "1.10", "t": "PT1H"}),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ({3}, [3]),
        (b"\xff\x00", "_wA="),
        ([math.nan, math.inf, -math.inf], ["NaN", "Infinity", "-Infinity"]),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
        ("literally \\u0000", "literally \\u0000"),
        ({"digits": "7" * 5000, 'quoted "\\': 1}, {"digits": "7" * 5000, 'quoted "\\': 1}),
    ],
)
def test_what_is_json_is_stored_as_it_is(value: object, stored: object) -> None:
    encoded, changed = encode_result(value)
    assert encoded is not None
    assert json.loads(encoded) == stored
    assert not changed


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"o": Broken(), "kept": 1}, {"o": "<Broken is not JSON>", "kept": 1}),
        ("nul \0 here", "nul \N{REPLACEMENT CHARACTER} here"),
        ({"a\0": "\ud800", "kept": (1,)}, {"a\N{REPLACEMENT CHARACTER}": "\N{REPLACEMENT CHARACTER}", "kept": [1]}),
        (Message.model_construct(text="\0"), {"text": "\N{REPLACEMENT CHARACTER}"}),
        ([10**5000, -(10**5000), 7], ["<an integer of 16610 bits>", "<an integer of 16610 bits>", 7]),
        (cyclic(), {"kept": 1, "self": "<contains itself>"}),
    ],
)
def test_what_can_be_kept_is_kept(value: object, stored: object) -> None:
    encoded, changed = encode_result(value)
    assert encoded is not None
    assert json.loads(encoded) == stored
    assert changed


def test_none_is_sql_null() -> None:
    assert encode_result(None) == (None, False)


def test_deep_nesting_is_cut() -> None:
    encoded, _ = encode_result({"kept": 1, "deep": deep(5000)})
    assert encoded is not None
    assert encoded.startswith('{"kept":1,"deep":[[')
    assert "<nested deeper than 64 levels>" in encoded


@pytest.mark.parametrize("value", [Leaving(), [Leaving()], HostileDict(a="\0")])
def test_when_looking_fails_a_sentence_stays(value: object) -> None:
    encoded, changed = encode_result(value)
    assert encoded is not None
    assert json.loads(encoded).startswith("The result could not be turned into JSON")
    assert changed


def test_a_value_that_hides_its_class_has_its_sentence() -> None:
    for value in (Nobody(), ["\ud800", Nobody()]):
        text, changed = encode_result(value)
        assert changed
        assert "not JSON" in (text or "") or "could not be turned into JSON" in (text or "")


@pytest.mark.parametrize("text", ["é" * MAX_BYTES, "\ud800" + "x" * (2 * MAX_BYTES)])
def test_a_large_result_keeps_its_length_its_digest_and_its_head(text: str) -> None:
    encoded, changed = encode_result([text])
    assert encoded is not None
    assert changed
    assert len(encoded) < 60_000
    cut = json.loads(encoded)
    assert cut["truncated"] is True
    assert cut["bytes"] > MAX_BYTES
    assert len(cut["head"]) == 8192
    assert len(cut["sha256"]) == 64


def test_the_digest_is_that_of_the_whole_json() -> None:
    value = {"rows": ["row"] * 300_000}
    cut = json.loads(encode_result(value)[0] or "")
    whole = json.dumps(value, separators=(",", ":")).encode()
    assert (cut["bytes"], cut["sha256"]) == (len(whole), hashlib.sha256(whole).hexdigest())


def test_what_is_cut_may_hold_what_could_not_be_stored_whole() -> None:
    value = {"nul": "\0", "number": 10**5000, "rows": ["row"] * 300_000}
    cut = json.loads(encode_result(value)[0] or "")
    whole = to_json(value)
    assert (cut["bytes"], cut["sha256"]) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert "\0" not in cut["head"]


def test_a_huge_value_that_must_be_sanitised_costs_no_more_than_its_limit() -> None:
    encoded, _ = encode_result({"first": "\ud800", "many": [0] * 3_000_000})
    assert encoded is not None
    assert len(encoded) < 300_000
    assert encoded.endswith('"<cut after 100000 values>"]}')


def test_postgres_takes_them_all(database_url: str) -> None:
    values = [
        "\0", "\ud800", "\udc00\ud800", math.nan, 10**4299, 10**5000, 10**140_000, 1e308, 5e-324, -0.0, cyclic(),
        deep(5000), Broken(), {Broken(): 1}, {(1, "\0"): 2}, {b"\xff": 1}, {1, 2}, b"\xff", Decimal("NaN"), 1 + 2j,
        ValueError("x"), type, iter([1]), "x" * (2 * MAX_BYTES), "\\u0000", "\\\0", "\\\\u0000\0", Hostile(), {"": ""},
        "\x7f\x1b", {"nul": "\0", "rows": ["row"] * 300_000},
    ]  # fmt: skip
    conninfo = database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for value in values:
            row = connection.execute("SELECT %s::jsonb", [encode_result(value)[0]]).fetchone()
            assert row is not None
            assert row[0] is not None
