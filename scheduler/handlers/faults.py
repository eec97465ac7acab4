"""What a handler raised, as text that the database can store whatever is in it."""

import asyncio
import traceback
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


def clean_text(text: str, limit: int = _TEXT_LIMIT) -> str:
    """`text` without what Postgres refuses (NUL, lone surrogates), at most `limit` characters, cut in the middle."""
    if len(text) > limit:
        text = _cut(text, limit)
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _cut(text: str, limit: int) -> str:
    marker = f"… {len(text)} characters cut …"  # at least as long as the marker that is used
    kept = max(0, limit - len(marker))
    head, tail = kept - kept // 3, kept // 3
    return f"{text[:head]}… {len(text) - kept} characters cut …{text[len(text) - tail :]}"[:limit]


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
    name = type(error).__name__
    try:
        message = str(error)
    except BaseException as broken:  # a __str__ is the user's code, and may raise anything
        message = f"its message can't be shown, str() of it raised {type(broken).__name__}"
    return clean_text(f"{name}: {message}" if message else name, _MESSAGE_LIMIT)


def _traceback(error: BaseException) -> str:
    try:
        story = traceback.TracebackException.from_exception(error, limit=-_FRAMES)
        _drop_machinery(story)
        return clean_text("".join(story.format()))
    except BaseException:  # notes, causes and groups are the user's objects too
        return "The traceback can't be shown: the exception broke while it was formatted."


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
