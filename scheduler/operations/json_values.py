"""When two values are the same to JSON: 1 is 1.0 whatever their digits, and neither is true."""

import json
from decimal import Decimal
from typing import Any


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
