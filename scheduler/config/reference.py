"""Every setting there is, from the classes themselves: for "did you mean", and as the table in docs/settings.md.

`python -m scheduler.config docs/settings.md` writes the table between its two markers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from scheduler.config.settings import Settings
from scheduler.config.values import Section

ANY_NAME = "<name>"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"

_REQUIRED = object()
_UNITS = {"_seconds": "seconds", "_days": "days"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting. `<name>` in its path stands for a name that the user chooses."""

    path: tuple[str, ...]
    field: FieldInfo
    default: Any

    @property
    def variable(self) -> str:
        return "SCHEDULER_" + "__".join(self.path).upper()


@cache
def entries() -> tuple[Entry, ...]:
    return tuple(_entries(Settings, (), Settings()))


def keys_under(path: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at `path`, in the order in which they are written down."""
    depth = len(path)
    keys = (entry.path[depth] for entry in entries() if len(entry.path) > depth and _fits(entry.path, path))
    return list(dict.fromkeys(keys))


def table() -> str:
    """Markdown, one row per setting."""
    rows = (
        f"| `{'.'.join(entry.path)}` | {_default(entry.default)} | {_value(entry)} | {entry.field.description} |"
        for entry in entries()
    )
    return "\n".join(("| setting | default | value | meaning |", "|---|---|---|---|", *rows))


def _entries(model: type[BaseModel], path: tuple[str, ...], instance: BaseModel | None) -> Iterator[Entry]:
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        here = (*path, _key(name, field))
        default = getattr(instance, name) if instance is not None else _own_default(field)
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from _entries(annotation, here, default)
        elif get_origin(annotation) is dict and issubclass(get_args(annotation)[1], Section):
            yield from _entries(get_args(annotation)[1], (*here, ANY_NAME), None)
        else:
            yield Entry(here, field, default)


def _key(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field.alias or name


def _own_default(field: FieldInfo) -> Any:
    return _REQUIRED if field.is_required() else field.get_default(call_default_factory=True, validated_data={})


def _fits(pattern: tuple[str, ...], path: tuple[str | int, ...]) -> bool:
    return all(part in (ANY_NAME, key) for part, key in zip(pattern, path, strict=False))


def _default(default: Any) -> str:
    if default is _REQUIRED:
        return "required"
    if default is None:
        return "–"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{json.dumps(default)}`" if isinstance(default, bool | list | dict) else f"`{default}`"


def _value(entry: Entry) -> str:
    kinds = _kinds(entry.field.annotation)
    first = kinds[0]
    if get_origin(first) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(first))
    name = {int: "whole number", float: "number", bool: "`true` or `false`", list: "list", dict: "mapping"}
    text = name.get(get_origin(first) or first, "text")
    if first is SecretStr:
        text = "text, kept secret"
    if first in (int, float):
        text = next((unit for end, unit in _UNITS.items() if entry.path[-1].endswith(end)), text)
        text += _range(_metadata(entry.field))
    if first is int and str in kinds:
        text += " or a range"
    return text + (" or `null`" if NoneType in kinds and entry.field.is_required() else "")


def _kinds(annotation: Any) -> list[Any]:
    """The members of a union, without what they are annotated with."""
    if hasattr(annotation, "__metadata__"):
        return _kinds(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return [kind for member in get_args(annotation) for kind in _kinds(member)]
    return [annotation]


def _metadata(field: FieldInfo) -> Iterator[object]:
    """What limits a value, whether it is said of the field or of a member of its union (`Days | None`)."""
    yield from field.metadata
    for member in get_args(field.annotation):
        for item in getattr(member, "__metadata__", ()):
            yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _range(limits: Iterator[object]) -> str:
    words = []
    for limit in limits:
        match limit:
            case Ge(ge=least):
                words.append(f"from {least}")
            case Gt(gt=bound):
                words.append(f"more than {bound}")
            case Le(le=most):
                words.append(f"up to {most}")
    return ", " + " ".join(words) if words else ""


def write_into(page: Path) -> None:
    """Replace what stands between the page's two markers. Raises ValueError if one of them is missing."""
    text = page.read_text(encoding="utf-8")
    before, after = text.index(BEGIN) + len(BEGIN), text.index(END)
    page.write_text(f"{text[:before]}\n{table()}\n{text[after:]}", encoding="utf-8")
