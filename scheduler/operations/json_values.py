"""Stored JSON, and when two values are the same to it: 1 is 1.0 whatever their digits, and neither is true."""

import json
import math
from decimal import Decimal
from typing import Any


def decoded(text: str | None) -> Any:
    """Stored JSON; what Python can't hold stays its text."""
    if text is None:
        return None
    try:
        return json.loads(text, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def same(one: Any, other: Any) -> bool:
    """Of two values as JSON has them."""
    return same_json(json.dumps(one), json.dumps(other))


def same_json(one: str, other: str) -> bool:
    """Of two JSON texts. Raises ValueError and RecursionError for what is none."""
    return bool(_comparable(one) == _comparable(other))


def _comparable(text: str) -> Any:
    return json.loads(text, parse_int=_number, parse_float=_number)


def _number(digits: str) -> tuple[Decimal]:
    """In a tuple, which nothing else in JSON becomes: Python takes true for 1."""
    return (Decimal(digits),)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number
