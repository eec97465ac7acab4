import os
import signal
from pathlib import Path

import psycopg
import pytest

from scheduler.errors import EmbeddedPostgresError
from tests.embedded.conftest import Embed, Launch
from tests.embedded.support import endpoint_of, ends, kill, postgres_ends

ROWS = 1000


def write_rows(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, %s) AS n", [ROWS])


def count_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row
    return int(row[0])


def test_killed_postgres_comes_back_in_its_place_with_what_was_committed(embed: Embed, durable_folder: Path) -> None:
    server = embed(ephemeral=False).start()
    url = server.url()
    write_rows(url)
    before = endpoint_of(durable_folder)
    kill(before.postmaster)
    assert embed(ephemeral=False).start().url() == url
    assert count_rows(url) == ROWS
    after = endpoint_of(durable_folder)
    assert after.supervisor == before.supervisor
    assert after.postmaster != before.postmaster


def test_killed_supervisor_takes_postgres_along_and_the_next_start_recovers(embed: Embed, durable_folder: Path) -> None:
    server = embed(ephemeral=False).start()
    url = server.url()
    write_rows(url)
    before = endpoint_of(durable_folder)
    kill(before.supervisor)
    assert postgres_ends(durable_folder)
    assert server.start().url() == url, "the socket folder is used again"
    assert count_rows(url) == ROWS
    assert endpoint_of(durable_folder).supervisor != before.supervisor


def test_everybody_killed_at_once(launch: Launch, embed: Embed, durable_folder: Path) -> None:
    user = launch(ephemeral=False)
    url, _ = user.joined()
    write_rows(url)
    found = endpoint_of(durable_folder)
    kill(found.supervisor)
    kill(found.postmaster)
    user.kill()
    server = embed(ephemeral=False).start()
    assert count_rows(server.url()) == ROWS
    server.stop()
    assert ends(durable_folder)
    assert not Path(found.sockets).exists()


def test_ephemeral_data_of_a_killed_supervisor_is_not_seen_again(embed: Embed, folder: Path) -> None:
    server = embed().start()
    write_rows(server.url())
    kill(endpoint_of(folder).supervisor)
    assert postgres_ends(folder)
    assert (folder / "ephemeral").exists(), "the kill left the data"
    with psycopg.connect(server.start().url()) as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)


def test_killed_first_start_leaves_no_half_of_a_server(
    embed: Embed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_FAILPOINTS", "embedded_after_initdb=exit")
    with pytest.raises(EmbeddedPostgresError, match="ended early"):
        embed(ephemeral=False).start()
    home = next((link.readlink().parent for link in folder.glob("pg*")), folder)
    assert not list(home.glob("pg*"))
    assert list(home.glob("init.*")), "the supervisor was killed after initdb"

    monkeypatch.delenv("SCHEDULER_FAILPOINTS")
    write_rows(embed(ephemeral=False).start().url())
    assert not list(home.glob("init.*"))


def test_server_that_does_not_stay_up_is_given_up_and_can_be_started_anew(embed: Embed, durable_folder: Path) -> None:
    server = embed(ephemeral=False).start()
    first = endpoint_of(durable_folder).supervisor
    kills = 0
    while endpoint_of(durable_folder).supervisor == first:
        kill(endpoint_of(durable_folder).postmaster)
        kills += 1
        server.start()
    assert kills == 6


def test_setting_that_postgres_refuses_is_quoted(embed: Embed, folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"(?s)did not start.*nonsense_setting"):
        embed(settings={"nonsense_setting": "1"}).start()
    assert ends(folder)
    assert not (folder / "sockets").is_symlink()


def test_server_ends_when_its_folder_is_removed(embed: Embed, durable_folder: Path) -> None:
    embed(ephemeral=False).start()
    found = endpoint_of(durable_folder)
    aside = durable_folder.with_name("aside")
    durable_folder.rename(aside)
    assert ends(aside)
    assert not Path(found.sockets).exists()
    aside.rename(durable_folder)


def test_supervisor_that_is_asked_to_stop_cleans_up(embed: Embed, durable_folder: Path) -> None:
    server = embed(ephemeral=False).start()
    found = endpoint_of(durable_folder)
    os.kill(found.supervisor, signal.SIGTERM)
    assert ends(durable_folder)
    assert not Path(found.sockets).exists()
    assert server.start().url()
