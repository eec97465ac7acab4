"""The project in the current folder, opened for one command."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scheduler.cli.printable import printable
from scheduler.errors import ConfigurationError, ParamsError, RightsError, did_you_mean

if TYPE_CHECKING:
    from scheduler.app import Project
    from scheduler.handlers import HandlerRegistry
    from scheduler.store.session import SyncSession


@contextmanager
def opened(*, quiet: bool = True) -> "Iterator[Project]":
    """The project, joined to its embedded server where it has one. Raises ConfigurationError, EmbeddedPostgresError.

    `quiet` is for a command that only passes by.
    """
    from scheduler.app import Project

    project = Project.open(Path.cwd(), quiet=quiet)
    try:
        yield project
    finally:
        project.close()


@contextmanager
def connected() -> "Iterator[tuple[Project, SyncSession]]":
    """The project and a session in its job database. Raises SchemaError too, unless its tables are current."""
    with opened() as project:
        project.require_schema()
        session = project.session("scheduler command", actor=user_name())
        try:
            yield project, session
        finally:
            session.close()


def user_name() -> str | None:
    """Whoever types; None where this host has no name for them."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return None


@contextmanager
def begun(folder: Path, *, embedded: bool) -> "Iterator[SyncSession]":
    """A session in the job database of a project that is being made; if the block raises, no new server is left."""
    from scheduler.app import FOLDER, Project
    from scheduler.embedded.removal import removed_on_failure

    with (
        removed_on_failure(folder / FOLDER),
        closing(Project.open(folder, embedded=embedded)) as project,
        closing(project.session("scheduler command", actor=user_name())) as session,
    ):
        yield session


def handlers_of(project: "Project") -> "HandlerRegistry":
    """All of them, while stdout stays for answers. Raises ConfigurationError naming a module that can't be imported."""
    with redirect_stdout(sys.stderr):  # what a handler's module prints is no answer of ours
        return project.handlers()


def warn_of_handler(project: "Project", name: str, params: str | None) -> None:
    """Say so where the project's handlers can be found and `name` isn't one of them, or doesn't take `params`.

    Only a warning: another worker may have it, or another version of it. Params may be None for not known.
    """
    try:
        known = handlers_of(project)
    except ConfigurationError:
        return
    if known.names and name not in known.names:
        typer.echo(
            f"warning: No handler of this project is named {name!r}.{did_you_mean(name, known.names)} "
            "Only a worker that has one can run it.",
            err=True,
        )
    elif known.names and params is not None:
        try:
            known.get(name).decode(params)
        except ParamsError as error:
            typer.echo(printable(f"warning: {error} It will fail when it runs."), err=True)


def warn_of_unserved_queue(project: "Project", session: "SyncSession", name: str) -> None:
    """Say so where neither this project's workers nor any other claim from it, if the role may know."""
    from scheduler.operations.overview import workers

    try:
        served = {*project.settings.worker.queues, *(queue for worker in workers(session) for queue in worker.queues)}
    except RightsError:
        return
    if name not in served:
        typer.echo(
            f"warning: No worker claims from the queue {name!r}.{did_you_mean(name, served)} "
            "What waits there stays until one does: name it in the setting worker.queues.",
            err=True,
        )
