"""`.env` and the `SCHEDULER_*` variables: which are settings, and what they say."""

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from scheduler.config import redis_variables
from scheduler.config.reference import ANY_NAME, entries
from scheduler.config.settings import SECTIONS, Settings
from scheduler.errors import ConfigurationError, did_you_mean

PREFIX = "SCHEDULER_"
DELIMITER = "__"
JOB_URL = "SCHEDULER_DATABASE_URL"
DOTENV = ".env"


def read(environment: Mapping[str, str]) -> dict[str, str]:
    """What of it may be settings: `SCHEDULER_*`, and those of a redis driver without a url."""
    return {
        name: value for name, value in environment.items() if name.startswith(PREFIX) or name in redis_variables.NAMES
    }


def read_dotenv(project: Path) -> dict[str, str]:
    """The same of `.env`; empty without one. Raises ConfigurationError if it can't be read."""
    path = project / DOTENV
    try:
        text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{DOTENV} can't be read; save it as a readable UTF-8 file.") from error
    for binding in parse_stream(StringIO(text)):
        if binding.error and PREFIX in binding.original.string:
            line = binding.original.line
            raise ConfigurationError(f"{DOTENV}, line {line}: write NAME=value, with quotes that close.")
    values = dotenv_values(stream=StringIO(text))
    return read({name: value or "" for name, value in values.items()})


def variable_name(path: tuple[str | int, ...]) -> str:
    """`SCHEDULER_WORKER__POOL_SIZE` for ("worker", "pool_size")."""
    return PREFIX + DELIMITER.join(map(str, path)).replace("-", "_").upper()


def section_of(name: str) -> str:
    return name.removeprefix(PREFIX).partition(DELIMITER)[0].lower()


def misspelt(names: Mapping[str, str]) -> Iterator[str]:
    """A problem for each variable that is none of ours but looks like a slip; others belong to somebody else."""
    for name in names:
        section, rest = section_of(name), name.removeprefix(PREFIX)
        if name == JOB_URL or section in SECTIONS or name in redis_variables.NAMES:
            continue
        if DELIMITER in rest:
            if hint := did_you_mean(section.upper(), [known.upper() for known in SECTIONS]):
                yield f"{name} is not a setting: no section is called {section.upper()!r}.{hint}"
        elif near := get_close_matches(rest, _known_variables(), n=1, cutoff=0.85):
            yield f"{name} is not a setting. Did you mean {PREFIX + near[0]!r}?"


def _known_variables() -> list[str]:
    named = (entry.variable.replace(ANY_NAME.upper(), "DEFAULT") for entry in entries())
    return [name.removeprefix(PREFIX) for name in (JOB_URL, *named)]


class Variables(EnvSettingsSource):
    """Turns variables into a tree of settings.

    Lists may be JSON or names with commas. Variables have no case: where a file already names a database `userDB`,
    `SCHEDULER_DATABASES__USERDB__URL` means that one.
    """

    def __init__(self, variables: Mapping[str, str], written: Mapping[str, Any]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in variables.items() if section_of(name) in SECTIONS}
        self._written = written

    def __call__(self) -> dict[str, Any]:
        return _respelt(super().__call__(), self._written)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """A list or mapping if it is one in JSON; anything else stays text, for the field to judge."""
        try:
            decoded = json.loads(value)
        except ValueError:
            return value
        return decoded if isinstance(decoded, list | dict) else value


def _respelt(values: dict[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    spelling = {str(key).replace("-", "_").lower(): key for key in written}
    respelt = {}
    for key, value in values.items():
        name = spelling.get(key.lower(), key)
        below = written.get(name)
        if isinstance(value, dict):
            respelt[name] = _respelt(value, below if isinstance(below, dict) else {})
        else:
            respelt[name] = value
    return respelt
