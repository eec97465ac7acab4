"""How a message is written in SQS: text with attributes, of which ours begin with `scheduler-`."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING

from scheduler.queues.protocol import DeadLetter, Delivery, never_acked

if TYPE_CHECKING:
    from types_aiobotocore_sqs.type_defs import MessageAttributeValueTypeDef, MessageTypeDef

ID = "scheduler-id"
"""The publisher's id. Other programs may give one as well."""
_ENCODING = "scheduler-encoding"
_DUE = "scheduler-due"
_DELIVERIES = "scheduler-deliveries"
_REASON = "scheduler-reason"

LONGEST_DELAY_SECONDS = 900
"""How long SQS itself keeps back what is published."""
LONGEST_VISIBILITY_SECONDS = 43_200
"""How long SQS lets a message be in somebody's hands."""

_UNSENDABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REASON_CHARACTERS = 1000


@dataclass(slots=True, eq=False)
class Receipt:
    """What a delivery is settled by, until a moment on the monotonic clock; 0 once it is settled."""

    handle: str
    until: float


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came."""

    message: "MessageTypeDef"

    @property
    def id(self) -> str:
        return self._text(ID) or self.message["MessageId"]

    @property
    def foreign(self) -> bool:
        return self._text(ID) is None

    @property
    def body(self) -> bytes:
        text = self.message["Body"]
        if self._text(_ENCODING) == "base64":
            try:
                return b64decode(text, validate=True)
            except NotBase64:
                return text.encode()
        return text.encode()

    @property
    def sent(self) -> float:
        """Unix time in seconds."""
        return int(self.message["Attributes"]["SentTimestamp"]) / 1000

    @property
    def due(self) -> float | None:
        """Unix time before which nobody is to receive it, where SQS alone can't keep it back for so long."""
        return None if (milliseconds := self._number(_DUE)) is None else milliseconds / 1000

    @property
    def deliveries(self) -> int:
        """Those of an earlier copy and those of this one, without the times that it was only kept back further."""
        kept_back = 0
        if self.due is not None:
            beyond = self.due - self.sent - LONGEST_DELAY_SECONDS
            kept_back = ceil(max(beyond, 0.0) / LONGEST_VISIBILITY_SECONDS)
        received = int(self.message["Attributes"]["ApproximateReceiveCount"])
        return (self._number(_DELIVERIES) or 0) + max(received - kept_back, 1)

    def delivery(self, until: float) -> Delivery:
        return Delivery(
            self.id,
            self.body,
            self.deliveries,
            datetime.fromtimestamp(self.sent, UTC),
            self.foreign,
            Receipt(self.message["ReceiptHandle"], until),
        )

    def dead_letter(self) -> DeadLetter:
        deliveries = self._number(_DELIVERIES) or self.deliveries
        return DeadLetter(self.id, self.body, deliveries, self._text(_REASON) or never_acked(deliveries))

    def _text(self, name: str) -> str | None:
        found = self.message.get("MessageAttributes", {}).get(name)
        return found.get("StringValue") if found else None

    def _number(self, name: str) -> int | None:
        text = self._text(name)
        return int(text) if text is not None and text.isdecimal() else None


def content(body: bytes) -> tuple[str, dict[str, "MessageAttributeValueTypeDef"]]:
    """The text of a message, and the attribute that says how to read it: SQS takes only what XML has a place for."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if text and not _UNSENDABLE.search(text):
        return text, {}
    return b64encode(body).decode(), {_ENCODING: _string("base64")}


def attributes(
    id: str,  # noqa: A002 - the message's
    *,
    due: float | None = None,
    deliveries: int = 0,
    reason: str | None = None,
) -> dict[str, "MessageAttributeValueTypeDef"]:
    found = {ID: _string(id)}
    if due is not None:
        found[_DUE] = _string(str(ceil(due * 1000)))
    if deliveries:
        found[_DELIVERIES] = _string(str(deliveries))
    if reason is not None:
        found[_REASON] = _string(_UNSENDABLE.sub(" ", reason)[:_REASON_CHARACTERS] or "No reason was given.")
    return found


def deduplication_id(id: str, deliveries: int) -> str:  # noqa: A002 - the message's
    """By which a .fifo queue knows, for five minutes, a message that was published before."""
    return sha256(f"{id}\n{deliveries}".encode()).hexdigest()


def _string(text: str) -> "MessageAttributeValueTypeDef":
    return {"DataType": "String", "StringValue": text}
