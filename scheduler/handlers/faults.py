"""What a handler raised, as text that the database can store whatever is in it."""

import asyncio
import traceback
from hashlib import sha256
from itertools import dropwhile
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_MACHINERY = tuple(
    f"{folder}/" for folder in (_PACKAGE / "handlers", _PACKAGE / "isolation", _PACKAGE / "lifecycle",
                                Path(asyncio.__file__).parent)
)  # fmt: skip
_MESSAGE_LIMIT = 1000
_TEXT_LIMIT = 8192
_FRAMES = 100
_NAME_LIMIT = 200
_NAME_OF = type.__dict__["__name__"].__get__
UNTELLABLE = "How the handler ended can't be told: what it returned or raised breaks whoever looks at it."
"""What is recorded when nothing else can be."""


def clean_text(text: str, limit: int = _TEXT_LIMIT) -> str:
    """`text` without what Postgres refuses (NUL, lone surrogates), at most `limit` characters, cut in the middle.

    Where it is cut, its length and the SHA-256 of its UTF-8 say what the whole was.
    """
    text = str.__str__(text)  # what a subclass makes of len() and the like is the user's code
    if len(text) > limit:
        text = _cut(text, limit)
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _cut(text: str, limit: int) -> str:
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    marker = f"… {len(text)} characters, cut here; sha256 {digest} …"
    kept = limit - len(marker)
    if kept < 0:
        return text[:limit]
    head, tail = kept - kept // 3, kept // 3
    return f"{text[:head]}{marker}{text[len(text) - tail :]}"


def shown(value: object) -> str:
    """The text of what should be one, and may be anything that a handler has put in its place. Never raises."""
    try:
        return value if isinstance(value, str) else str(value)
    except BaseException as broken:  # a __str__ is the user's code, and may raise anything
        return f"(can't be shown: str() of it raised {_name(broken)})"


class ToldFault(Exception):  # noqa: N818 - a fault that happened elsewhere, as it was described there
    """What a handler in another process raised."""

    def __init__(self, headline: str, traceback: str) -> None:
        self.headline, self.traceback = headline, traceback
        super().__init__(headline)


def describe_error(error: BaseException) -> tuple[str, str]:
    """(`"TypeName: message"`, traceback) of an exception, both clean and cut. Never raises.

    The traceback begins at the handler: the frames that called it are left out.
    """
    if isinstance(error, ToldFault):
        return error.headline, error.traceback
    return _headline(error), _traceback(error)


def _headline(error: BaseException) -> str:
    name = _name(error)
    try:
        message = str.__str__(str(error))
    except BaseException as broken:  # a __str__ is the user's code, and may raise anything
        message = f"its message can't be shown, str() of it raised {_name(broken)}"
    return clean_text(f"{name}: {message}" if message else name, _MESSAGE_LIMIT)


def _name(error: BaseException) -> str:
    """The name of its type, whatever the type's own type makes of that."""
    return clean_text(_NAME_OF(type(error)), _NAME_LIMIT)


def _traceback(error: BaseException) -> str:
    try:
        story = traceback.TracebackException.from_exception(error, limit=-_FRAMES)
        _drop_machinery(story)
        return clean_text(_left_out(error) + "".join(story.format()))
    except BaseException:  # notes, causes and groups are the user's objects too
        return "The traceback can't be shown: the exception broke while it was formatted."


def _left_out(error: BaseException) -> str:
    """How many calls the traceback begins after, where there are too many to show."""
    frames = sum(1 for _ in traceback.walk_tb(error.__traceback__))
    return f"({frames - _FRAMES} calls before these are left out.)\n" if frames > _FRAMES else ""


def _drop_machinery(story: traceback.TracebackException) -> None:
    """Leave out the leading frames that are ours, in the exception and in all that it is chained to."""
    seen: set[int] = set()
    waiting = [story]
    while waiting:
        part = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            part.stack[:] = dropwhile(lambda frame: frame.filename.startswith(_MACHINERY), part.stack)
            waiting += filter(None, (part.__cause__, part.__context__, *(part.exceptions or ())))
