"""The YAML files of a project: which are ours, what they say, and on which line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from scheduler.config.settings import SECTIONS, IgnoredFile
from scheduler.errors import did_you_mean

_ROOT_NAMES = ("scheduler.yaml", "scheduler.yml")
_FOLDER = "config"
_SUFFIXES = (".yaml", ".yml")
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Document:
    """One file of ours: `scheduler.yaml`, or one with at least one of our sections."""

    name: str
    """Its path, relative to the project."""
    root: yaml.MappingNode
    values: dict[str, Any]

    def line(self, path: tuple[str | int, ...]) -> int | None:
        """The line, from 1, of the key at `path`; None if it isn't in this file."""
        node: yaml.Node = self.root
        line = None
        for key in path:
            step = _child(node, key)
            if step is None:
                return None
            line, node = step
        return line


@dataclass(slots=True)
class Files:
    """What a project's YAML files come to."""

    documents: list[Document] = field(default_factory=list)
    ignored: list[IgnoredFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_files(project: Path) -> Files:
    """`scheduler.yaml`, or all of `config/`; having sections of ours in both is a problem."""
    found = Files()
    for path in [*(project / name for name in _ROOT_NAMES if (project / name).is_file()), *_in_folder(project)]:
        name = path.relative_to(project).as_posix()
        try:
            file = _read(path, name)
        except _UnreadableError as unreadable:
            found.problems.append(f"{name}{unreadable}")
            continue
        if isinstance(file, IgnoredFile):
            found.ignored.append(file)
        else:
            found.documents.append(file)
    found.problems.extend(_one_place(found.documents))
    for document in found.documents:
        found.problems.extend(_foreign_keys(document))
    return found


def merge(documents: list[Document]) -> tuple[dict[str, Any], list[str]]:
    """One tree of all the files, and a problem for each value that two of them give."""
    tree: dict[str, Any] = {}
    problems: list[str] = []
    owners: dict[tuple[str, ...], Document] = {}

    def add(into: dict[str, Any], values: dict[str, Any], path: tuple[str, ...], document: Document) -> None:
        for key, value in values.items():
            here = (*path, key)
            if key not in into:
                into[key] = {} if isinstance(value, dict) else value
                owners[here] = document
            elif not (isinstance(value, dict) and isinstance(into[key], dict)):
                first = owners[here]
                problems.append(
                    f"{document.name}, line {document.line(here)}: {'.'.join(map(str, here))} is already given in "
                    f"{first.name}, line {first.line(here)}; keep one of the two"
                )
                continue
            if isinstance(value, dict):
                add(into[key], value, here, document)

    for document in documents:
        ours = {key: value for key, value in document.values.items() if key in SECTIONS and value is not None}
        add(tree, ours, (), document)
    return tree, problems


class _UnreadableError(Exception):
    """Goes on where a file's name ends."""


def _in_folder(project: Path) -> list[Path]:
    return sorted(
        path
        for path in (project / _FOLDER).glob("*")
        if path.suffix in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _read(path: Path, name: str) -> Document | IgnoredFile:
    """The file. Its text is only built into values when it is ours."""
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8-sig"))
        roots = []
        while loader.check_node():
            roots.append(loader.get_node())
        mappings = [root for root in roots if isinstance(root, yaml.MappingNode)]
        ours = [root for root in mappings if name in _ROOT_NAMES or SECTIONS.keys() & _keys(root)]
        if not ours:
            if name in _ROOT_NAMES and any(root is not None and root.tag != _NULL for root in roots):
                raise _UnreadableError(f": must be a mapping with the keys {', '.join(SECTIONS)}")
            return IgnoredFile(path, {key: _meant(key) for root in mappings for key in _keys(root) if _meant(key)})
        if len(roots) > 1:
            raise _UnreadableError(": has several documents; remove the --- between them")
        _refuse_twins(ours[0])
        return Document(name, ours[0], loader.construct_document(ours[0]))
    except OSError as error:
        raise _UnreadableError(f": can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _UnreadableError(": is not UTF-8; save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise _UnreadableError(_syntax(error)) from None
    except RecursionError as error:
        raise _UnreadableError(": is nested too deeply, or inside itself by an alias") from error
    except ValueError as error:
        raise _UnreadableError(": holds a date or number that doesn't exist; put it in quotes") from error


def _syntax(error: yaml.YAMLError) -> str:
    """Where, and the two usual reasons; the parser's own words may quote a password."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ": holds characters that YAML doesn't allow; save it as plain UTF-8 text"
    problem = str(getattr(error, "problem", ""))
    hint = (
        "indent with spaces, not with tabs"
        if "'\\t'" in problem
        else "check the indentation, and put text with special characters in quotes"
    )
    return f", line {mark.line + 1}, column {mark.column + 1}: is not valid YAML; {hint}"


def _refuse_twins(node: yaml.Node) -> None:
    """YAML would let the last of two equal keys win, silently."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twins(item)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in lines:
                    first = lines[key.value]
                    raise _UnreadableError(f", line {line}: the key {key.value!r} is already on line {first}; keep one")
                lines[key.value] = line
            _refuse_twins(value)


def _one_place(documents: list[Document]) -> Iterator[str]:
    roots = [document.name for document in documents if document.name in _ROOT_NAMES]
    others = [document.name for document in documents if document.name not in _ROOT_NAMES]
    if roots and (others or len(roots) > 1):
        other = (roots[1:] + others)[0]
        yield f"{roots[0]} and {other} both hold settings: keep {_ROOT_NAMES[0]} or {_FOLDER}/, not both"


def _foreign_keys(document: Document) -> Iterator[str]:
    """A file under `config/` may have sections of somebody else, unless they look like a slip in one of ours."""
    for key in _keys(document.root):
        if key not in SECTIONS and (document.name in _ROOT_NAMES or _meant(key)):
            hint = did_you_mean(key, SECTIONS) or f" Known are {', '.join(SECTIONS)}."
            yield f"{document.name}, line {document.line((key,))}: {key} is not a section.{hint}"


def _meant(key: str) -> str:
    """The section that `key` is a slip of, where it looks like one; else an empty string."""
    return next(iter(get_close_matches(key, SECTIONS, n=1, cutoff=0.8)), "")


def _keys(node: yaml.MappingNode) -> list[str]:
    return [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]


def _child(node: yaml.Node, key: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line + 1, node.value[key]
    if isinstance(node, yaml.MappingNode):
        for name, value in reversed(node.value):  # merged-in keys come first
            if name.value == str(key):
                return name.start_mark.line + 1, value
    return None
