"""Arrays in binary arrive as they were sent, whoever sends them."""

import math

import psycopg
import pytest

from scheduler.store.arrays import Packed, float8s, int8s
from tests.store.tables import Tables


@pytest.mark.parametrize(
    ("packed", "values"),
    [
        (int8s([1, -1, 2**63 - 1, -(2**63)]), [1, -1, 2**63 - 1, -(2**63)]),
        (int8s([7]), [7]),
        (float8s([0.1, 1e-6, 31_622_400.0, math.inf]), [0.1, 1e-6, 31_622_400.0, math.inf]),
        (int8s(range(2000)), list(range(2000))),
    ],
    ids=["whole numbers", "one", "numbers", "many"],
)
def test_what_is_sent_arrives(tables: Tables, packed: Packed, values: list[float]) -> None:
    with psycopg.connect(tables.url) as connection:
        row = connection.execute("SELECT %s, pg_typeof(%s)::text", [packed, packed]).fetchone()
    assert row is not None
    assert row == (values, "bigint[]" if isinstance(values[0], int) else "double precision[]")
