"""What may be a message, written by us or by anybody."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.errors import MalformedMessageError, MessageTooLargeError
from scheduler.queues.payload import MAX_DEPTH, decode, encode, message_id
from scheduler.queues.protocol import MAX_BODY_BYTES

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@settings(max_examples=50, deadline=None)
@given(values)
def test_what_is_sent_is_received(value: Any) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1}{"a": 1}', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"NaN", "NaN is no number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is no number of JSON"),
        (b"1e999", "1e999 is too large a number"),
        (b"9" * 5000, "not JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        (rb'{"a": ["\u0000"]}', "U+0000"),
        (rb'{"\u0000": 1}', "U+0000"),
        (rb'"\ud800"', "U+D800"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, "nested deeper"),
        (b'"' + b"x" * MAX_BODY_BYTES + b'"', "has at most 262,144"),
    ],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_what_is_no_message_is_told_why(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        decode(body)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, float("nan"), {"a": object()}, "\ud800", {(1, 2): 3}])
def test_what_is_no_json_is_not_sent(value: Any) -> None:
    with pytest.raises(MalformedMessageError, match="A message is JSON"):
        encode(value)


def test_what_contains_itself_is_not_sent() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(MalformedMessageError, match="Circular"):
        encode(endless)


def test_what_is_too_large_is_not_sent_and_there_is_advice() -> None:
    assert len(encode("x" * (MAX_BODY_BYTES - 2))) == MAX_BODY_BYTES
    with pytest.raises(MessageTooLargeError, match="send a reference"):
        encode("x" * (MAX_BODY_BYTES - 1))


def test_as_deep_as_allowed() -> None:
    body = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert json.dumps(decode(body)).encode() == body


def test_an_id_is_made_up_where_none_is_given() -> None:
    assert message_id("order-1") == "order-1"
    assert message_id(None) != message_id(None)
