"""A new project: its files and its first cron job, all or none of them."""

import keyword
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from urllib.parse import quote

from scheduler.errors import ConflictError
from scheduler.handlers import declare
from scheduler.operations import cron_jobs, migration
from scheduler.operations.preview import preview
from scheduler.store.session import SyncSession

SETTINGS, HANDLERS, IGNORED, SECRETS = "scheduler.yaml", "handlers", ".gitignore", ".env"
HANDLER, EXPRESSION = "hello", "@every 5s"
"""What the first handler is called, and when it runs, where nobody says otherwise."""

_TEMPLATES = Path(__file__).with_name("templates")
_UNQUOTED = "%/:?#[]@!&()*+,;=~-._"
"""What may stand in a url and means nothing to the reader of .env, within single quotes."""


@dataclass(frozen=True, slots=True)
class File:
    path: str
    """Relative to the project."""
    about: str
    text: str
    mode: int = 0o666
    """Less the umask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """What is chosen. Raises ConfigurationError for a name that no handler can have, and ScheduleError."""

    handler_name: str = HANDLER
    """Of its cron job, too."""
    cron_expression: str = EXPRESSION
    """In UTC."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Variables for .env, which is only written where there are some."""

    def __post_init__(self) -> None:
        declare(self.handler_name, lambda: None, "the new one", {})
        preview(self.cron_expression, "UTC", after=datetime.now(UTC), count=1)

    @property
    def files(self) -> tuple[File, ...]:
        module = re.sub(r"\W", "_", self.handler_name)
        function = f"{module}_" if keyword.iskeyword(module) else module
        text = _template("handler.py.txt").substitute(name=self.handler_name, function=function)
        files = (
            File(SETTINGS, "the settings", _template(SETTINGS).template),
            File(f"{HANDLERS}/{module}.py", f"the handler {self.handler_name}", text),
            File(IGNORED, "what git leaves alone", _template("gitignore.txt").template),
        )
        if not self.urls:
            return files
        lines = "".join(f"{name}='{quote(url, safe=_UNQUOTED)}'\n" for name, url in self.urls.items())
        return *files, File(SECRETS, "the url of the database, for your eyes only", lines, 0o600)


@dataclass(frozen=True, slots=True)
class Placed:
    """What was done to a folder."""

    files: tuple[File, ...]
    kept: tuple[str, ...]
    """Files of somebody else's that were left as they are: a .gitignore."""


@dataclass(frozen=True, slots=True)
class FirstTick:
    """Of the cron job. Times in UTC."""

    name: str
    expression: str
    at: datetime
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """What has come to be."""

    placed: Placed
    first_tick: FirstTick | None
    """None: the database has no tables of ours, and so no cron job."""


def make(
    folder: Path, new: NewProject, opened: Callable[[], AbstractContextManager[SyncSession]], *, may_migrate: bool
) -> Made:
    """All of it or nothing; `opened` leads from the files to the job database, and undoes what it made on the way.

    Raises ConflictError as `require_room()` does or for the cron job's name, and what `migration.ready()` raises.
    """
    with placed(folder, new) as put, opened() as session:
        return Made(put, _first_tick(session, new, may_migrate))


def _first_tick(session: SyncSession, new: NewProject, may_migrate: bool) -> FirstTick | None:
    """The cron job, once there are tables for it."""
    if not migration.ready(session.conninfo, session.schema, may_migrate=may_migrate):
        return None
    name, expression = new.handler_name, new.cron_expression
    definition = cron_jobs.CronJobDefinition(name=name, cron_expression=expression, handler_name=name)
    added = cron_jobs.add(session, definition)
    (tick,) = preview(expression, "UTC", after=added.created_at, count=1).ticks
    return FirstTick(name, expression, tick.utc, added.created_at)


def require_room(folder: Path, new: NewProject) -> None:
    """Raises ConflictError where one of the files, or a handler of somebody else's, is there already."""
    if folder.exists() and not folder.is_dir():
        raise ConflictError(f"{folder.absolute()} is a file: name a folder, which may be a new one.")
    for parent in (folder.absolute(), *folder.absolute().parents):
        if parent.name == HANDLERS and (parent.parent / SETTINGS).exists():
            raise ConflictError(
                f"{folder.absolute()} is among the handlers of the project in {parent.parent}, which would take its "
                "files for its own: choose another folder."
            )
    taken = {file.path for file in new.files if _in_the_way(folder, file)}
    others = {path.relative_to(folder).as_posix() for path in (folder / HANDLERS).rglob("*.py")}
    if taken or others:
        raise ConflictError(
            f"{folder.absolute()} has {', '.join(sorted(taken | others))} already: nothing was written. "
            "Choose another folder, or move them away."
        )


def _in_the_way(folder: Path, file: File) -> bool:
    """A .gitignore stays as it is, and a .env that says nothing of what is to be said is added to."""
    path = folder / file.path
    if not os.path.lexists(path) or file.path == IGNORED:
        return False
    if file.path != SECRETS or not path.is_file():
        return True
    said = {line.removeprefix("export ").partition("=")[0].strip() for line in path.read_text().splitlines()}
    return any(line.partition("=")[0] in said for line in file.text.splitlines())


@contextmanager
def placed(folder: Path, new: NewProject) -> Iterator[Placed]:
    """The files in `folder`, which is made if missing; if the block raises, everything is as it was before.

    Raises ConflictError as `require_room()` does.
    """
    require_room(folder, new)
    kept = tuple(file.path for file in new.files if file.path == IGNORED and (folder / IGNORED).exists())
    files = tuple(file for file in new.files if file.path not in kept)
    with ExitStack() as undo:
        for file in files:
            _make_folders((folder / file.path).parent, undo)
            put = _append if (folder / file.path).exists() else _write
            put(folder / file.path, file, undo)
        yield Placed(files, kept)
        undo.pop_all()


def _make_folders(folder: Path, undo: ExitStack) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
        undo.callback(_quietly, path.rmdir)


def _write(path: Path, file: File, undo: ExitStack) -> None:
    """Never over another file, and never readable by more people than it may be, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    undo.callback(_quietly, path.unlink)
    with open(descriptor, "w", encoding="utf-8") as opened:
        opened.write(file.text)


def _append(path: Path, file: File, undo: ExitStack) -> None:
    before = path.read_text(encoding="utf-8")
    undo.callback(path.write_text, before, encoding="utf-8")
    between = "" if before.endswith("\n") or not before else "\n"
    path.write_text(f"{before}{between}{file.text}", encoding="utf-8")


def _quietly(remove: Callable[[], None]) -> None:
    """A folder into which somebody else has put something meanwhile stays."""
    try:
        remove()
    except OSError:
        return


def _template(name: str) -> Template:
    return Template((_TEMPLATES / name).read_text(encoding="utf-8"))
