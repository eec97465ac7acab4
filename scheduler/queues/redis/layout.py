"""Where a queue's messages are in Redis, and how one is written there.

    NAME            list    what can be received; others push JSON into it
    {NAME}:delayed  zset    receipts, by when they may be received
    {NAME}:taken    zset    receipts of deliveries, by when their time runs out
    {NAME}:held     hash    the message of each receipt in either
    {NAME}:dead     list    what was given up, with the reason

All times are microseconds of the server's clock. The braces make a cluster keep a queue's keys together; a name that
has a hash tag of its own, such as `{shop}:orders`, stands as it is: `{shop}:orders:dead`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from scheduler.errors import ConfigurationError

_TAGGED = re.compile(r"[^{]*\{[^}]+\}")
_SEALED = re.compile(rb"\x1e([^\x1e\x1f]+)\x1f(\d+)\x1f(\d+)\x1f(\d+)\x1f([01])\x1f([^\x1e\x1f]*)\x1e", re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REASON_CHARACTERS = 1000


def keys_of(name: str) -> tuple[str, str, str, str, str]:
    """The ready list, and the four keys beside it. Raises ConfigurationError for a name that no cluster could keep."""
    if not name or (("{" in name or "}" in name) and not _TAGGED.match(name)):
        raise ConfigurationError(
            f"{name!r} can't be the name of a message queue on Redis: leave out braces, or write a hash tag such as "
            "'{shop}:orders'."
        )
    prefix = name if "{" in name else f"{{{name}}}"
    return name, f"{prefix}:delayed", f"{prefix}:taken", f"{prefix}:held", f"{prefix}:dead"


def reason_of(text: str) -> str:
    """A reason as it is kept with a dead letter: one line without control characters."""
    return _CONTROL.sub(" ", text)[:_REASON_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message as it is stored: what is known of it, then its body.

    It begins with a control character, with which no JSON begins.
    """

    id: str
    body: bytes
    deliveries: int
    published: datetime | None
    foreign: bool
    reason: str

    @classmethod
    def read(cls, element: bytes) -> Self:
        """Of an element that a script has sealed."""
        if (head := _SEALED.match(element)) is None:
            return cls.unsealed(element)
        named, published, _, deliveries, foreign, reason = head.groups()
        return cls(
            id=named.decode(errors="replace"),
            body=element[head.end() :],
            deliveries=int(deliveries),
            published=_EPOCH + timedelta(microseconds=int(published)) if int(published) else None,
            foreign=foreign == b"1",
            reason=reason.decode(errors="replace"),
        )

    @classmethod
    def unsealed(cls, element: bytes) -> Self:
        """What somebody else has pushed where only dead letters are."""
        return cls(
            id="", body=element, deliveries=0, published=None, foreign=True, reason="put here by another program"
        )
