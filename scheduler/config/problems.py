"""What pydantic refuses, in sentences that say where it stands and what to write instead."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from scheduler.config.reference import ANY_NAME, keys_under
from scheduler.config.refusals import words
from scheduler.config.settings import Problem
from scheduler.config.variables import JOB_URL, variable_name
from scheduler.config.yaml_files import Document
from scheduler.errors import did_you_mean

Path = tuple[str | int, ...]

_MAY_HOLD_SECRETS = ("databases", "drivers")
_MAPPINGS = ("dict_type", "model_type", "model_attributes_type")


@dataclass(frozen=True, slots=True)
class Origins:
    """Where each setting was written."""

    documents: Sequence[Document]
    variables: Mapping[str, str]
    """The variable's place, such as "in .env", by its upper-case name."""
    job_url_path: Path | None

    def place(self, path: Path) -> str:
        """The words for a key: where it stands, and its name."""
        for depth in range(len(path), 0, -1):
            name = JOB_URL if path[:depth] == self.job_url_path else variable_name(path[:depth])
            if name in self.variables:
                where = f"{name}{self.variables[name]}"
                return f"{where}: {_dotted(path)}" if depth < len(path) else where
            for document in self.documents:
                line = document.line(path[:depth])
                if line is not None:
                    return f"{document.name}, line {line}: {_dotted(path)}"
        return _dotted(path)

    def is_variable(self, path: Path) -> bool:
        return variable_name(path) in self.variables


def sentences(error: ValidationError, origins: Origins) -> Iterator[str]:
    """One per problem."""
    for details in error.errors(include_url=False):
        for problem in _problems(details, origins):
            yield f"{origins.place(problem.path)} {problem.text}"


def _problems(details: ErrorDetails, origins: Origins) -> list[Problem]:
    context = details.get("ctx", {})
    if "problems" in context:
        found: list[Problem] = context["problems"]
        return found
    path = tuple(part for part in details["loc"] if part != "[key]")
    if details["type"] in ("extra_forbidden", "invalid_key"):
        return [Problem(path, _unknown_key(path, origins))]
    if details["type"] in _MAPPINGS:
        return [Problem(path, _a_mapping(keys_under(path)))]
    return [Problem(path, words(details) + _not_this(path, details))]


def _a_mapping(keys: list[str]) -> str:
    if not keys:
        return "must be a mapping"
    return f"must be a mapping with the keys {', '.join(keys)}" if keys != [ANY_NAME] else "must be a mapping of names"


def _unknown_key(path: Path, origins: Origins) -> str:
    known = keys_under(path[:-1])
    last = str(path[-1])
    if not did_you_mean(last, known):
        return f"is not a setting. Known here: {', '.join(known)}"
    if origins.is_variable(path):
        hint = did_you_mean(variable_name(path), [variable_name((*path[:-1], key)) for key in known])
    else:
        hint = did_you_mean(last, known)
    return f"is not a setting.{hint}"


def _not_this(path: Path, details: ErrorDetails) -> str:
    """What stands there now, where that can't be a secret and the sentence doesn't say it yet."""
    given = details["input"]
    if details["type"] in ("value_error", "missing") or path[0] in _MAY_HOLD_SECRETS:
        return ""
    if not isinstance(given, str | int | float) or "://" in str(given) or len(str(given)) > 40:
        return ""
    return f", not {given!r}"


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
