"""Names that the shell completes: of the project in the current folder, asked in silence, none if anything is wrong."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TYPE_CHECKING

from scheduler.model import FINAL, Status

if TYPE_CHECKING:
    from scheduler.app import Project
    from scheduler.store.session import SyncSession

_CONNECT_SECONDS = "2"
"""Who presses TAB waits for no server that is away."""
_PLAIN = re.compile(r"[\w/.@+][\w/.@+:,%=-]*")
"""What every shell takes as it is: of a name that anybody has stored, `$(…)` would be carried out at the next Enter."""


def cron_jobs(incomplete: str) -> list[str]:
    def names(_: "Project", session: "SyncSession") -> Iterable[str]:
        from scheduler.operations.cron_jobs import names

        return names(session)

    return _asked(names, incomplete)


def queues(incomplete: str) -> list[str]:
    def names(project: "Project", session: "SyncSession") -> Iterable[str]:
        from scheduler.operations.queues import names

        return {*names(session), *project.settings.worker.queues}

    return _asked(names, incomplete)


def handlers(incomplete: str) -> list[str]:
    """Those of the project; no database is needed to know them."""
    found: list[str] = []
    with _in_silence():
        from pathlib import Path

        from scheduler.config import load_settings
        from scheduler.handlers import discover

        project = Path.cwd()
        found = discover(load_settings(project).handlers, project).names
    return _fitting(found, incomplete)


def message_queues(incomplete: str) -> list[str]:
    """Those of the settings."""
    return _configured("queues", incomplete)


def consumers(incomplete: str) -> list[str]:
    """Those of the settings."""
    return _configured("consumers", incomplete)


def statuses(incomplete: str) -> list[str]:
    return _fitting([*(status.lower() for status in Status), "dead", "final"], incomplete)


def unfinished(incomplete: str) -> list[str]:
    return _fitting(["pending", "running"], incomplete)


def ended(incomplete: str) -> list[str]:
    return _fitting([*(status.lower() for status in Status if status in FINAL), "dead", "final"], incomplete)


def zones(incomplete: str) -> list[str]:
    from scheduler.rules.zones import zone_names

    return _fitting(zone_names(), incomplete)


def columns(incomplete: str) -> list[str]:
    """What `cron edit --unset` takes."""
    from scheduler.cli.cron.options import OPTIONS, defaults

    return _fitting([OPTIONS[column].removeprefix("--") for column in defaults()], incomplete)


def pages(incomplete: str) -> list[str]:
    """What `doctor --page` takes."""
    from scheduler.operations.doctor.finding import Code

    return _fitting([code.value for code in Code], incomplete)


def _configured(section: str, incomplete: str) -> list[str]:
    found: list[str] = []
    with _in_silence():
        from pathlib import Path

        from scheduler.config import load_settings

        found = list(getattr(load_settings(Path.cwd()), section))
    return _fitting(found, incomplete)


def _asked(names: "Callable[[Project, SyncSession], Iterable[str]]", incomplete: str) -> list[str]:
    found: Iterable[str] = ()
    with _in_silence():
        from scheduler.cli.project import connected

        with connected() as (project, session):
            found = names(project, session)
    return _fitting(found, incomplete)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    """Never one that would have to be quoted: shells differ in how."""
    return sorted(name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name))


@contextmanager
def _in_silence() -> Iterator[None]:
    """Nothing but names may reach a shell that completes a word, whatever a handler's module prints or raises."""
    os.environ.setdefault("PGCONNECT_TIMEOUT", _CONNECT_SECONDS)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere), suppress(Exception):
        yield
