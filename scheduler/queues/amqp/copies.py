"""What a message is written as: when it is new, put back, and given up. Headers of ours begin with `x-scheduler-`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from aio_pika import Message
from aiormq.abc import DeliveredMessage
from pamqp.common import FieldTable, FieldValue

DELIVERIES = "x-scheduler-deliveries"
"""How often the message was delivered before this copy of it was made."""
REASON = "x-scheduler-reason"
"""Why it is a dead letter."""
FOREIGN = "x-scheduler-foreign"
"""It came without an id; the one it has was made up by its first receiver."""
EXPIRES = "x-scheduler-expires"
"""Unix time in ms after which a message is dropped if nobody received it; `expiration` would end its delay."""

_OF_RABBITMQ = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
_T = TypeVar("_T")


def new(body: bytes, id: str, *, durable: bool, ttl: float | None, delay: float) -> Message:  # noqa: A002 - the message's
    now = datetime.now(UTC)
    late = {EXPIRES: int((now.timestamp() + delay + ttl) * 1000)} if ttl is not None and delay > 0 else {}
    return Message(
        body,
        message_id=id,
        timestamp=now,
        headers=dict(late),
        expiration=ttl if delay <= 0 else None,
        delivery_mode=_mode(durable=durable),
    )


def again(message: DeliveredMessage, id: str, *, durable: bool, headers: Mapping[str, FieldValue]) -> Message:  # noqa: A002 - the message's
    """A copy with more headers, which never expires: somebody has received it."""
    properties = message.header.properties
    kept: FieldTable = {
        name: value
        for name, value in (properties.headers or {}).items()
        if not name.startswith(_OF_RABBITMQ) and name != EXPIRES
    }
    if not properties.message_id:
        kept[FOREIGN] = True
    return Message(
        message.body,
        message_id=id,
        timestamp=properties.timestamp,
        headers={**kept, **headers},
        delivery_mode=_mode(durable=durable),
    )


def header(message: DeliveredMessage, name: str, kind: type[_T]) -> _T | None:
    """A header that may be anything, as anybody may publish: None where it is no `kind`."""
    value = (message.header.properties.headers or {}).get(name)
    return value if isinstance(value, kind) else None


def _mode(*, durable: bool) -> int:
    return 2 if durable else 1
