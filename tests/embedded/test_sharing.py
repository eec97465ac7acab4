import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from scheduler.embedded import EmbeddedPostgres
from scheduler.errors import EmbeddedPostgresError
from tests.embedded.conftest import Embed, Launch
from tests.embedded.support import PROJECT, endpoint_of, ends


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("shared") / ".scheduler"
    settings = {"work_mem": "7MB", "listen_addresses": "*"}
    with EmbeddedPostgres(folder, ephemeral=True, settings=settings) as server:
        yield server


def test_processes_that_start_at_once_share_one_server(launch: Launch, folder: Path) -> None:
    users = [launch() for _ in range(3)]
    ((url, _),) = {user.joined() for user in users}
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_database WHERE datname = 'shared'").fetchone()
    assert found == (1,)


def test_server_ends_when_all_its_users_are_killed(launch: Launch, folder: Path) -> None:
    users = [launch(), launch()]
    for user in users:
        user.joined()
    sockets = Path(endpoint_of(folder).sockets)
    users[0].kill()
    assert not ends(folder, seconds=0.7), "one user is left"
    users[1].kill()
    assert ends(folder)
    assert not sockets.exists()
    assert not (folder / "sockets").is_symlink()
    assert not (folder / "ephemeral").exists()


def test_durable_server_ends_too_and_keeps_its_data(embed: Embed, durable_folder: Path) -> None:
    server = embed(ephemeral=False).start()
    with psycopg.connect(server.ensure_database("kept")) as connection:
        connection.execute("CREATE TABLE note AS SELECT 1 AS n")
    server.stop()
    assert ends(durable_folder)
    with psycopg.connect(server.start().url("kept")) as connection:
        assert connection.execute("SELECT n FROM note").fetchone() == (1,)


def test_database_of_any_name_is_created_once_by_many(server: EmbeddedPostgres) -> None:
    name = 'ü b/"&?=%'
    with ThreadPoolExecutor(8) as threads:
        (url,) = set(threads.map(server.ensure_database, [name] * 8))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as by_engine:
        assert by_engine.scalar(sqlalchemy.text("SELECT current_database()")) == name
    engine.dispose()


@pytest.mark.parametrize("name", ["", "n" * 64])
def test_database_names_that_postgres_would_change_are_refused(server: EmbeddedPostgres, name: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match="1 to 63 bytes"):
        server.ensure_database(name)


def test_server_has_our_settings_and_the_caller_s(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url()) as connection:

        def show(setting: str) -> str:
            row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
            return str(row[0]) if row else ""

        assert show("max_prepared_transactions") == "64"
        assert show("work_mem") == "7MB"
        assert show("listen_addresses") == "", "a server that trusts everybody is never on the network"
        assert show("server_version").split()[0] == server.version
        assert show("fsync") == "off"
    assert server.version.startswith(str(server.major))


def test_ephemeral_and_durable_users_are_not_mixed(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedPostgresError, match="is ephemeral, but a durable one"):
        EmbeddedPostgres(server.folder).start()


def test_url_needs_a_start(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"call start\(\) first"):
        EmbeddedPostgres(folder).url()


def test_folder_is_private_and_stays_out_of_git(server: EmbeddedPostgres) -> None:
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert (server.folder / ".gitignore").read_text() == "*\n"
    assert Path(endpoint_of(server.folder).sockets).stat().st_mode & 0o777 == 0o700


def test_import_is_cheap() -> None:
    code = "import sys, scheduler.embedded; print(sorted({'psycopg', 'sqlalchemy', 'ctypes'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
