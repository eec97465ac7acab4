"""Enqueuing on a caller's connection, in the caller's transaction: one, or a million by COPY.

Many take their ids from the sequence first, so that nobody has to ask for them afterwards. COPY can't look for the
holder of a unique key: rows that have one, and all rows of a role that may not choose ids, are made by enqueue_job().
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, groupby, islice
from typing import Any, Final

import psycopg

from scheduler.errors import ConflictError, RefusedError
from scheduler.model import NewExecution
from scheduler.store.callers import AsyncTarget, SyncTarget, driver, driver_async, run, run_async, told
from scheduler.store.copying import COLUMNS, Row, copied
from scheduler.store.statements import quote

_BATCH: Final = 10_000
"""Rows that are held at once, where nobody knows how many there are."""
_STREAM: Final = 100_000
"""Rows of one COPY: their ids are asked for at once."""
_EACH: Final = 1_000
"""Rows of one statement that calls enqueue_job() for each."""
_LINE: Final = re.compile(r"^COPY \w+, line (\d+)", re.MULTILINE)


def enqueue(connection: SyncTarget, new: NewExecution, schema: str) -> int:
    """The id of the new row, or of the one that holds its unique key. Raises as `run()` does."""
    (id_,) = run(connection, *_statement(new), schema)
    return int(id_)


async def enqueue_async(connection: AsyncTarget, new: NewExecution, schema: str) -> int:
    """`enqueue()` for the async connections."""
    (id_,) = await run_async(connection, *_statement(new), schema)
    return int(id_)


def enqueue_many(connection: SyncTarget, rows: Iterable[Row], schema: str, count: int | None = None) -> list[int]:
    """The ids, in the order of the rows. Raises as `run()` does; a value that COPY refuses is told with its place.

    `count` is how many rows there are, where that is known: then they are made while the server takes those before.
    """
    ids: list[int] = []
    limited = frozenset(run(connection, "client_limited_queues", {}, schema))
    for one_by_one, size, some in _runs(rows, count, limited):
        taken = None if one_by_one else _taken(run(connection, "client_take_ids", _wanted(size, schema), schema), size)
        if taken is None:
            batch, made = list(some), dict[int, int]()
            for places, part in _parts(batch):
                made |= zip(places, run(connection, "client_enqueue_each", part, schema), strict=True)
            ids += (made[place] for place in range(len(batch)))
            continue
        done = 0
        with _numbered(len(ids)), told(schema), psycopg.Cursor(driver(connection)).copy(_copy(schema)) as copy:
            for block, lines in copied(some, *taken):
                copy.write(block)
                done += lines
        ids += taken[0][:done]
    return ids


async def enqueue_many_async(
    connection: AsyncTarget, rows: Iterable[Row], schema: str, count: int | None = None
) -> list[int]:
    """`enqueue_many()` for the async connections."""
    ids: list[int] = []
    limited = frozenset(await run_async(connection, "client_limited_queues", {}, schema))
    for one_by_one, size, some in _runs(rows, count, limited):
        taken = (
            None
            if one_by_one
            else _taken(await run_async(connection, "client_take_ids", _wanted(size, schema), schema), size)
        )
        if taken is None:
            batch, made = list(some), dict[int, int]()
            for places, part in _parts(batch):
                made |= zip(places, await run_async(connection, "client_enqueue_each", part, schema), strict=True)
            ids += (made[place] for place in range(len(batch)))
            continue
        done = 0
        with _numbered(len(ids)), told(schema):
            async with psycopg.AsyncCursor(await driver_async(connection)).copy(_copy(schema)) as copy:
                for block, lines in copied(some, *taken):
                    await copy.write(block)
                    done += lines
        ids += taken[0][:done]
    return ids


def _statement(new: NewExecution) -> tuple[str, dict[str, Any]]:
    """Which statement makes it, and its values."""
    plain = NewExecution(handler_name=new.handler_name, handler_params=new.handler_params, queue=new.queue)
    if new != plain:
        return "client_enqueue", asdict(new)
    return "client_enqueue_plain", {
        "handler_name": new.handler_name,
        "handler_params": new.handler_params,
        "queue": new.queue,
    }


def _runs(rows: Iterable[Row], count: int | None, limited: frozenset[str]) -> Iterator[tuple[bool, int, Iterable[Row]]]:
    """Neighbours that all have to be made one by one, or all not, and how many they are at most.

    One by one: what may be there already, by its unique key, and what its queue may have no room for.
    """
    left = count
    for one_by_one, group in groupby(rows, key=lambda row: row[0].unique_key is not None or row[0].queue in limited):
        neighbours = iter(group)
        for first in neighbours:
            if left is None or one_by_one:
                batch = [first, *islice(neighbours, _BATCH - 1)]
                left = None if left is None else left - len(batch)
                yield one_by_one, len(batch), batch
            else:
                size = max(min(left, _STREAM), 1)
                left -= size
                yield one_by_one, size, chain([first], islice(neighbours, size - 1))


def _relation(schema: str) -> str:
    return f"{quote(schema)}.job_executions"


def _wanted(n: int, schema: str) -> dict[str, Any]:
    return {"n": n, "relation": _relation(schema)}


def _taken(answer: Sequence[str], n: int) -> tuple[Sequence[int], float] | None:
    """The ids and the database's time; None where the role may not choose ids."""
    taken = json.loads(answer[0])
    first = taken["first"]
    return None if first is None else (taken["ids"] or range(first, first + n), taken["now"])


def _copy(schema: str) -> bytes:
    return f"COPY {_relation(schema)} ({', '.join(COLUMNS)}) FROM STDIN".encode()


def _parts(batch: Sequence[Row]) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """By key, so that two who enqueue the same keys never wait for each other crosswise; and the place of each."""
    order = sorted(range(len(batch)), key=lambda place: batch[place][0].unique_key or "")
    for start in range(0, len(order), _EACH):
        places = order[start : start + _EACH]
        rows = [asdict(new) | {"handler_params": params} for new, params in (batch[place] for place in places)]
        yield places, {"rows": json.dumps(rows, default=str)}


@contextmanager
def _numbered(first: int) -> Iterator[None]:
    """A refusal with the place of its row, where the server has said on which line it was."""
    try:
        yield
    except (RefusedError, ConflictError) as refused:
        cause = refused.__cause__
        line = _LINE.search(cause.diag.context or "") if isinstance(cause, psycopg.Error) else None
        if line is None:
            raise
        raise type(refused)(f"Item {first + int(line[1]) - 1}: {refused}") from cause
