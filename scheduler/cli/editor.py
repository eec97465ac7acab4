"""A text in somebody's own editor, until it is accepted or given up; what was written is never lost."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import mkstemp
from typing import TypeVar

import typer

from scheduler.cli.printable import printable
from scheduler.errors import ConfigurationError, RefusedError, ScheduleError, SchedulerError

T = TypeVar("T")

_REFUSED = "#! "
"""Begins the lines on top that say what was wrong; they are no part of the text."""


def edit_text(original: str, name: str, apply: Callable[[str], T]) -> T | None:
    """What `apply` makes of the edited text; None if it was left as it is, or emptied.

    Where `apply` refuses it, the editor comes back with the reason on top; left like that, the reason is raised.
    Whatever else goes wrong, the text is kept in a file that is named.
    """
    descriptor, path_text = mkstemp(prefix="scheduler-", suffix=".yaml")
    os.close(descriptor)
    path = Path(path_text)
    try:
        result = _until_accepted(path, original, apply)
    except BaseException:
        if _read(path) not in (original, ""):
            typer.echo(f"note: What you wrote about {printable(name)!r} is kept in {path}.", err=True)
        else:
            path.unlink()
        raise
    path.unlink()
    return result


def _until_accepted(path: Path, original: str, apply: Callable[[str], T]) -> T | None:
    text, refusal = original, ""
    while True:
        path.write_text(_with_reason(text, refusal), encoding="utf-8")
        _open_editor(path)
        before, text = text, _read(path)
        if text == original or not text.strip():
            return None
        if refusal and text == before:
            raise RefusedError(refusal)
        try:
            return apply(text)
        except (RefusedError, ScheduleError) as error:
            refusal = str(error)


def _with_reason(text: str, refusal: str) -> str:
    return "".join(f"{_REFUSED}{line}\n" for line in printable(refusal).splitlines()) + text


def _read(path: Path) -> str:
    # Not splitlines(): what else Unicode takes for the end of a line is somebody's text.
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return "\n".join(line for line in lines if not line.startswith(_REFUSED))


def _open_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The editor {editor!r} can't be started ({error}): set EDITOR, or say what to change with options."
        ) from error
    if code != 0:
        raise SchedulerError(f"The editor {editor!r} ended with {code}, so nothing was changed.")
