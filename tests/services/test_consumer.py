"""A message becomes one execution, whatever is lost between the broker, the tables and the ack."""

import asyncio
import json
from collections.abc import Callable, Sequence

import psycopg
import pytest

from scheduler import failpoints
from scheduler.errors import BrokerError, ParamsError
from scheduler.failpoints import FailpointError
from scheduler.queues.protocol import Delivery, QueueOptions, QueueStats
from scheduler.services import consumer
from scheduler.services.options import ConsumerOptions
from tests.services.consuming import QUEUE, Broker, Foreign, Wrapped, consuming, one_of, until_resting
from tests.services.line import eventually
from tests.store.tables import Events, Tables

Arm = Callable[[str, Callable[[], None]], None]
ROWS = "SELECT count(*) FROM job_executions"
MANY = ConsumerOptions("c", QUEUE, "h", concurrency=3, prefetch=10_000)


@pytest.fixture(autouse=True)
def soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that reads nothing is short, and so is the wait for the last one."""
    monkeypatch.setattr(consumer, "READ_SECONDS", 0.05)


async def test_a_message_is_an_execution_of_the_handler_it_is_bound_to(tables: Tables) -> None:
    broker = Broker()
    await broker.publish("a", body={"handler_name": "evil", "to": "é"})

    async with consuming(tables, broker.queue, MANY):
        await broker.until_empty()

    row = """SELECT source, handler_name, handler_params, queue, status, concurrency_key, concurrency_limit
             FROM job_executions"""
    assert tables.rows(row) == [
        ("message", "h", {"handler_name": "evil", "to": "é"}, "default", "PENDING", "consumer:c", 3)
    ]
    assert tables.rows("SELECT source, message_id, execution_id FROM job_messages") == [(QUEUE, "a", 1)]


async def test_the_same_message_a_hundred_times_out_of_order_is_one_row(tables: Tables) -> None:
    broker = Broker()
    for _ in range(50):
        await broker.publish("a", "b")

    async with consuming(tables, broker.queue, MANY) as consumers:
        await broker.until_empty()
        await broker.publish(*["b", "a"] * 25)
        await broker.until_empty()
        counts = one_of(consumers).counts

    assert (tables.value(ROWS), counts.made, counts.known) == (2, 2, 148)


async def test_executions_are_in_the_order_of_their_messages(tables: Tables) -> None:
    broker = Broker()
    ids = [f"{n:03}" for n in range(300)]
    await broker.publish(*ids)

    async with consuming(tables, broker.queue, MANY):
        await broker.until_empty()

    assert tables.column("SELECT message_id FROM job_messages ORDER BY execution_id") == ids
    assert (
        tables.value("""SELECT count(*) FROM job_messages m JOIN job_executions e ON e.id = m.execution_id
                           WHERE e.handler_params ->> 'id' = m.message_id""")
        == 300
    )


@pytest.mark.parametrize("point", ["before_messages_commit", "after_messages_commit", "before_messages_ack"])
async def test_what_is_lost_between_two_steps_is_done_again_and_not_twice(
    tables: Tables, armed: Arm, point: str
) -> None:
    broker = Broker()
    await broker.publish("a", "b")

    lost: list[str] = []

    def lose() -> None:
        if len(lost) < 2:
            lost.append(point)
            raise FailpointError(point)

    armed(point, lose)
    async with consuming(tables, broker.queue, MANY):
        await broker.until_empty()

    assert lost == [point, point]
    assert (tables.value(ROWS), tables.value("SELECT count(*) FROM job_messages")) == (2, 2)


async def test_a_consumer_that_vanished_loses_nothing_and_doubles_nothing(tables: Tables, armed: Arm) -> None:
    """It has written and not acked; its time runs out, and another one gets the message."""
    broker = Broker(QueueOptions(visibility_seconds=0.05, max_deliveries=1000))
    await broker.publish("a")

    def vanish() -> None:
        raise FailpointError

    armed("before_messages_ack", vanish)
    async with consuming(tables, broker.queue, ConsumerOptions("c", QUEUE, "h", visibility_seconds=3600)):
        await eventually(lambda: tables.value(ROWS) == 1)
        failpoints.disarm("before_messages_ack")

        async with consuming(tables, broker.open(), ConsumerOptions("c", QUEUE, "h")):
            await broker.until_empty()

    assert tables.value(ROWS) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "It is not JSON: "),
        (b"\xff{}", "It is not UTF-8: "),
        (b'{"a": NaN}', "It is not JSON: "),
        (b'{"a": "\\u0000"}', "A text in it has U+0000, which can't be stored."),
        (b"[" * 5000, "It is "),
        (b'{"a": 1e400}', "It is not JSON: "),
        (b"[1]", "Handler 'h' takes a JSON object as its params"),
        (b'{"a": ' + b"9" * 4000 + b"}", "Handler 'h'"),
    ],
)
async def test_what_no_handler_could_take_is_a_dead_letter_with_the_reason(
    tables: Tables, events: Events, body: bytes, reason: str
) -> None:
    def fits(text: str) -> None:
        if not text.startswith("{") or len(text) > 3000:
            raise ParamsError("Handler 'h' takes a JSON object as its params.")

    broker = Broker()
    await broker.publish("before")
    await broker.queue.publish(body, id="bad")
    await broker.publish("after")

    async with consuming(tables, broker.queue, MANY, fits=fits):
        await broker.until_empty()

    assert [id_ for id_, why in (await broker.dead()).items() if why.startswith(reason)] == ["bad"]
    assert tables.column("SELECT message_id FROM job_messages ORDER BY 1") == ["after", "before"]
    assert [values["count"] for event, values in events if event == "consumer.refused"] == [1]


async def test_what_the_tables_refuse_keeps_none_of_its_neighbours_out(tables: Tables) -> None:
    """A trigger of the user's on one of them, params of a megabyte once they are spelled out."""
    tables.execute("""CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
                      $$BEGIN RAISE 'no thirteen here'; END$$""")
    tables.execute("""CREATE TRIGGER refuse BEFORE INSERT ON job_executions FOR EACH ROW
                      WHEN (NEW.handler_params ->> 'id' = '13') EXECUTE FUNCTION public.refuse()""")
    try:
        broker = Broker()
        await broker.publish(*map(str, range(40)))
        await broker.queue.publish(b'{"a": [' + b",".join([b"1e300"] * 4000) + b"]}", id="large")
        async with consuming(tables, broker.queue, MANY):
            await broker.until_empty()
    finally:
        tables.execute("DROP TRIGGER refuse ON job_executions")
        tables.execute("DROP FUNCTION public.refuse()")

    dead = await broker.dead()
    assert dead["13"] == "The job database can't hold it: no thirteen here."
    assert "job_executions_handler_params_check" in dead["large"]
    assert (len(dead), tables.value(ROWS)) == (2, 39)


async def test_without_the_right_to_write_nothing_is_given_up(tables: Tables, events: Events) -> None:
    """A fault of the tables is no fault of a message: it is kept until they are mended."""
    broker = Broker()
    await broker.publish("a")
    tables.execute("ALTER TABLE job_messages RENAME TO gone")
    try:
        async with consuming(tables, broker.queue, MANY):
            await eventually(lambda: any(event == "loop.failed" for event, _ in events))
            tables.execute("ALTER TABLE gone RENAME TO job_messages")
            await broker.until_empty()
    finally:
        tables.execute("ALTER TABLE IF EXISTS gone RENAME TO job_messages")

    assert (await broker.dead(), tables.value(ROWS)) == ({}, 1)


async def test_with_prefetch_executions_waiting_it_reads_no_more(tables: Tables) -> None:
    broker = Broker()
    await broker.publish(*map(str, range(50)))

    async with consuming(tables, broker.queue, ConsumerOptions("c", QUEUE, "h", prefetch=7)) as consumers:
        await until_resting(consumers)
        assert tables.value(ROWS) == 7
        stats = await broker.queue.stats()
        assert (stats.waiting, stats.in_flight) == (43, 0)

        tables.execute("UPDATE job_executions SET status = 'CANCELLED', finished_at = job_now() WHERE id <= 3")
        await eventually(lambda: tables.value(ROWS) == 10)
        await until_resting(consumers)

    assert tables.value(ROWS) == 10


async def test_several_processes_keep_to_one_prefetch(tables: Tables) -> None:
    broker = Broker()
    await broker.publish(*map(str, range(100)))
    options = ConsumerOptions("c", QUEUE, "h", prefetch=7)

    async with consuming(tables, broker.open(), options) as one, consuming(tables, broker.open(), options) as two:
        for consumers in (one, two, one):
            await until_resting(consumers)
        assert tables.value(ROWS) == 7

    stats = await broker.queue.stats()
    assert (tables.value(ROWS), stats.waiting, stats.in_flight) == (7, 93, 0)


async def test_the_limits_of_their_queue_hold_for_messages_too(tables: Tables) -> None:
    """Two consumers with room for more than the queue has; what waits there from elsewhere counts."""
    tables.execute("INSERT INTO job_queues (name, paused, max_pending) VALUES ('default', true, 1000)")
    tables.execute("INSERT INTO job_executions (handler_name) SELECT 'other' FROM generate_series(1, 100)")
    broker = Broker()
    await broker.publish(*map(str, range(1500)))
    two = ConsumerOptions("d", QUEUE, "h", prefetch=10_000)

    async with consuming(tables, broker.queue, MANY, two) as consumers:
        await until_resting(consumers)

        assert tables.value(ROWS) == 1000
        stats = await broker.queue.stats()
        assert stats.waiting + stats.in_flight == 600
        tables.execute("UPDATE job_queues SET max_pending = NULL")
        await broker.until_empty()

    assert tables.value(ROWS) == 1600


async def test_what_is_in_hand_is_kept_while_the_database_is_away(tables: Tables, armed: Arm) -> None:
    broker = Broker(QueueOptions(max_deliveries=1))
    await broker.publish("a")
    extended = asyncio.Event()

    class Watched(Wrapped):
        async def extend(self, deliveries: Sequence[Delivery]) -> None:
            await self._queue.extend(deliveries)
            extended.set()

    def away() -> None:
        if not extended.is_set():
            raise psycopg.OperationalError("the database is away")

    armed("before_messages_commit", away)
    async with consuming(tables, Watched(broker.queue), ConsumerOptions("c", QUEUE, "h", visibility_seconds=0.03)):
        await broker.until_empty()

    assert extended.is_set()
    assert (await broker.dead(), tables.value(ROWS)) == ({}, 1)


async def test_a_broker_that_is_away_is_asked_again_for_ever(tables: Tables, events: Events) -> None:
    broker = Broker()
    await broker.publish("a")

    class Away(Wrapped):
        left = 4

        async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
            if self.left:
                self.left -= 1
                raise BrokerError("The broker can't be reached.")
            return await self._queue.receive(limit, wait=wait)

    queue = Away(broker.queue)
    async with consuming(tables, queue, MANY):
        await broker.until_empty()

    told = [event for event, _ in events if event.startswith("loop.")]
    assert (queue.left, told) == (0, ["loop.failed", "loop.recovered"])


async def test_a_message_without_an_id_is_counted(tables: Tables, events: Events) -> None:
    broker = Broker()
    await broker.publish("a", "b", "c")

    async with consuming(tables, Foreign(broker.queue), MANY) as consumers:
        await broker.until_empty()
        assert one_of(consumers).counts.foreign == 3

    assert tables.value(ROWS) == 3
    assert [event for event, _ in events if event == "consumer.foreign"] == ["consumer.foreign"]


async def test_an_id_that_is_too_long_is_known_by_its_hash(tables: Tables) -> None:
    broker = Broker()
    await broker.publish("a")

    class Long(Wrapped):
        async def receive(self, limit: int, *, wait: float) -> list[Delivery]:
            found = await self._queue.receive(limit, wait=wait)
            return [Delivery("x" * 5000, each.body, 1, None, foreign=False, receipt=each.receipt) for each in found]

    async with consuming(tables, Long(broker.queue), MANY):
        await broker.until_empty()

    assert tables.value("SELECT message_id FROM job_messages").startswith("sha256:")


async def test_what_cannot_be_written_before_the_end_is_handed_back(tables: Tables, events: Events, armed: Arm) -> None:
    broker = Broker()
    await broker.publish("a", "b")

    tries: list[int] = []

    def away() -> None:
        tries.append(1)
        raise psycopg.OperationalError("the database is away")

    armed("before_messages_commit", away)
    async with consuming(tables, broker.queue, MANY):
        await eventually(lambda: len(tries) >= 2)

    (stopped,) = [values for event, values in events if event == "consumer.stopped"]
    stats = await broker.open().stats()
    assert (stopped["handed_back"], stats.waiting, stats.in_flight) == (2, 2, 0)
    assert tables.value(ROWS) == 0


async def test_after_the_stop_nothing_more_is_read(tables: Tables) -> None:
    broker = Broker()
    async with consuming(tables, broker.queue, MANY) as consumers:
        await until_resting(consumers)
        await consumers.stop()
        await broker.open().publish(json.dumps({}).encode())

    assert (await broker.open().stats()).waiting == 1
    assert tables.value(ROWS) == 0


async def test_consumers_begin_in_the_order_of_what_they_depend_on(tables: Tables, events: Events) -> None:
    broker = Broker()
    opened = asyncio.Event()

    class Guarded(Wrapped):
        async def stats(self) -> QueueStats:
            if not opened.is_set():
                raise BrokerError("not yet")
            return await self._queue.stats()

    other = Guarded(broker.open("other"))
    three = [
        ConsumerOptions("last", QUEUE, "h", needs=("middle",)),
        ConsumerOptions("middle", QUEUE, "h", needs=("first", "other")),
        ConsumerOptions("first", QUEUE, "h"),
    ]

    def began() -> list[str]:
        return [values["consumer"] for event, values in events if event == "consumer.started"]

    def waited() -> list[tuple[str, str]]:
        return [(values["consumer"], values["needed"]) for event, values in events if event == "consumer.waits"]

    async with consuming(tables, broker.queue, *three, others=[other]):
        await eventually(lambda: ("middle", "other") in waited() and began() == ["first"])
        opened.set()
        await eventually(lambda: len(began()) == 3)

    assert began() == ["first", "middle", "last"]
