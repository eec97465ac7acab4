import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scheduler.embedded import EmbeddedPostgres
from tests.embedded.support import UserProcess, ends, remove_data_of_nobody

Embed = Callable[..., EmbeddedPostgres]
Launch = Callable[..., UserProcess]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / ".scheduler"
    yield folder
    remove_data_of_nobody(folder)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a durable server that has stopped, with its data."""
    folder = tmp_path_factory.mktemp("prepared") / ".scheduler"
    with EmbeddedPostgres(folder):
        pass
    assert ends(folder)
    yield folder
    remove_data_of_nobody(folder)


@pytest.fixture
def durable_folder(prepared: Path, folder: Path) -> Path:
    """`folder` with data in it, which spares the test an `initdb` where data isn't a link."""
    if not any(entry.is_symlink() for entry in prepared.glob("pg*")):
        shutil.copytree(prepared, folder)
    return folder


@pytest.fixture
def embed(folder: Path) -> Iterator[Embed]:
    """Makes users of the folder's server in this process; all of them are stopped at the end."""
    with ExitStack() as stack:

        def make(*, ephemeral: bool = True, settings: dict[str, str] | None = None) -> EmbeddedPostgres:
            server = EmbeddedPostgres(folder, ephemeral=ephemeral, settings=settings)
            stack.callback(server.stop)
            return server

        yield make


@pytest.fixture
def launch(folder: Path) -> Iterator[Launch]:
    """Starts user processes of the folder's server; all of them are killed at the end."""
    with ExitStack() as stack:

        def start(*, ephemeral: bool = True) -> UserProcess:
            return stack.enter_context(UserProcess(folder, ephemeral=ephemeral))

        yield start
