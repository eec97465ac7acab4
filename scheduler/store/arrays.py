"""Arrays of numbers as the server takes them in binary: a driver that looks at each value takes ten times as long."""

from collections.abc import Sequence
from struct import pack

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format


class Packed(bytes):
    """A parameter of a statement."""


class _Int8s(Packed): ...


class _Float8s(Packed): ...


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> Packed:
        return obj


class _Int8sDumper(_Dumper):
    oid = psycopg.adapters.types["int8"].array_oid


class _Float8sDumper(_Dumper):
    oid = psycopg.adapters.types["float8"].array_oid


# For every connection, also one that a handler's own transaction brings: the types are ours alone.
psycopg.adapters.register_dumper(_Int8s, _Int8sDumper)
psycopg.adapters.register_dumper(_Float8s, _Float8sDumper)


def int8s(values: Sequence[int]) -> Packed:
    """A bigint[] of these."""
    return _Int8s(_packed("q", "int8", values))


def float8s(values: Sequence[float]) -> Packed:
    """A double precision[] of these."""
    return _Float8s(_packed("d", "float8", values))


def _packed(code: str, type_name: str, values: Sequence[float]) -> bytes:
    """As array_recv() reads it: dimensions, flags, type, length, lower bound; then of each its size and itself."""
    count = len(values)
    sized: list[float] = [8] * (2 * count)
    sized[1::2] = values
    header = (1, 0, psycopg.adapters.types[type_name].oid, count, 1)
    return pack(f"!iiIii{f'i{code}' * count}", *header, *sized)
