"""What may be seen of what may be secret: nothing of it by a viewer, and by nobody what stands under a secret's key."""

import re
from collections.abc import Sequence
from typing import Any, Final

from scheduler.model import Role

REDACTED: Final = "[redacted]"
_PASSWORD: Final = re.compile(r"(\b[a-z][a-z0-9+.\-]*://[^\s/:@]*:)[^\s@/]+(?=@)", re.IGNORECASE)
_SETTING: Final = re.compile(r"(\bpassword\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s,;]+)", re.IGNORECASE)
_DEEPEST: Final = 200
"""No stored JSON is deeper that Python has read."""


def without_passwords(text: str) -> str:
    """Urls and connection strings keep their form; passwords in them go."""
    return _SETTING.sub(rf"\1{REDACTED}", _PASSWORD.sub(rf"\1{REDACTED}", text))


class Veil:
    """For one role."""

    def __init__(self, words: Sequence[str], role: Role) -> None:
        self._words = tuple(_plain(word) for word in words)
        self.hides = role is Role.VIEWER

    def value(self, value: Any) -> Any:
        """Params, a result."""
        return None if self.hides else self._redacted(value, 0)

    def text(self, text: str | None) -> str | None:
        """An error, a traceback."""
        return None if self.hides or text is None else without_passwords(text)

    def _redacted(self, value: Any, depth: int) -> Any:
        match value:
            case _ if depth > _DEEPEST:
                return REDACTED
            case dict():
                return {
                    key: REDACTED if self._is_secret(key) and inner is not None else self._redacted(inner, depth + 1)
                    for key, inner in value.items()
                }
            case list():
                return [self._redacted(inner, depth + 1) for inner in value]
            case str():
                return without_passwords(value)
            case _:
                return value

    def _is_secret(self, key: str) -> bool:
        plain = _plain(key)
        return any(word in plain for word in self._words)


def _plain(word: str) -> str:
    return re.sub(r"[\W_]", "", word).casefold()
