"""`scheduler init`: what it makes, what it asks, and that it makes all of it or nothing."""

import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import yaml

from scheduler.config import Settings, load_settings
from scheduler.config.variables import JOB_URL
from scheduler.handlers import discover
from scheduler.isolation.task import TaskIsolation
from scheduler.operations import cron_jobs
from scheduler.operations.new_project import NewProject, placed
from scheduler.testing.isolation_contract import context, ended
from tests.cli.conftest import Command

ROOT = Path(__file__).resolve().parents[2]
UNREACHABLE = "postgresql://app:secret@127.0.0.1:1/jobs"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a person types, a line each."""
    typed = io.StringIO()
    monkeypatch.setattr("scheduler.cli.init.somebody_is_there", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    return typed


def type_in(answers: io.StringIO, *lines: str) -> None:
    answers.write("".join(f"{line}\n" for line in lines))
    answers.seek(0)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return list(connection.execute(query.encode()))


class TestFiles:
    def test_the_settings_are_the_defaults(self, tmp_path: Path) -> None:
        with placed(tmp_path, NewProject()):
            assert load_settings(tmp_path, {}).model_dump() == Settings().model_dump()

    def test_what_is_commented_out_is_right_too(self, tmp_path: Path) -> None:
        with placed(tmp_path, NewProject()):
            file = tmp_path / "scheduler.yaml"
            text = re.sub(r"^( *)# ( *\w+:)", r"\1\2", file.read_text(), flags=re.MULTILINE)
            text = re.sub(r"^(?=postgresql|SCHEDULER_)", "# ", text, flags=re.MULTILINE)
            file.write_text(text)
            settings = load_settings(tmp_path, {JOB_URL: "postgresql://db/jobs"})
        assert yaml.safe_load(text).keys() == {"databases", "worker", "handlers", "log"}
        kept = {"worker", "handlers", "log"}
        assert settings.model_dump(include=kept) == Settings().model_dump(include=kept)
        assert settings.databases["business"].dbname == "shop"

    @pytest.mark.parametrize("name", ["hello", "class", "Daily.report-2", "a_b"])
    async def test_the_handler_works(self, tmp_path: Path, name: str) -> None:
        with placed(tmp_path, NewProject(handler_name=name)):
            (spec,) = discover(["handlers"], tmp_path)
            assert spec.name == name
            assert (await ended(TaskIsolation().start(spec, context('{"who": "Ada"}')))).value == {"hello": "Ada"}

    @pytest.mark.parametrize(
        "password", ["it's", "a$b", "${HOME}", "back\\slash", "per%25cent", 'quo"te', "grü ße", "#"]
    )
    def test_the_url_comes_back_as_it_was_given(self, tmp_path: Path, password: str) -> None:
        given = f"postgresql://app:{password}@db.example.com:5432/shop?sslmode=require"
        with placed(tmp_path, NewProject(urls={JOB_URL: given})):
            assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
            database = load_settings(tmp_path, {}).job_database
        assert database is not None
        assert database.conninfo == load_settings(tmp_path, {JOB_URL: given}).job_database.conninfo  # type: ignore[union-attr]

    def test_no_password_is_in_a_file_that_is_committed(self, tmp_path: Path) -> None:
        with placed(tmp_path, NewProject(urls={JOB_URL: "postgresql://a:s3cret@h/d"})) as put:
            assert [file.path for file in put.files if "s3cret" in (tmp_path / file.path).read_text()] == [".env"]
            assert ".env" in (tmp_path / ".gitignore").read_text().splitlines()


class TestOneDatabase:
    def test_without_tables_it_says_what_to_type(self, scheduler: Command, folder: Path, database_url: str) -> None:
        code, out, err = scheduler("init", "shop", "--database-url", database_url, "--every", "5m")
        assert (code, err) == (0, "")
        assert "scheduler migrate" in out
        assert "scheduler cron add hello '@every 5m' hello" in out
        assert ".env" in out
        database = load_settings(folder / "shop", {}).job_database
        assert database is not None
        assert rows(database.conninfo, "SELECT to_regclass('cron_jobs') IS NULL") == [(True,)]

    def test_with_migrate_the_cron_job_is_there(self, scheduler: Command, database_url: str) -> None:
        made = scheduler("init", "shop", "--database-url", database_url, "--migrate", "--cron", "0 9 * * 1-5", "--json")
        assert made.code == 0
        told = json.loads(made.out)
        assert told["files"] == ["scheduler.yaml", "handlers/hello.py", ".gitignore", ".env"]
        assert (told["database"], told["cron_job"]["name"]) == ("url", "hello")
        stored = rows(database_url, "SELECT name, cron_expression, handler_name FROM cron_jobs")
        assert stored == [("hello", "0 9 * * 1-5", "hello")]
        audited = rows(database_url, "SELECT action, target, actor IS NOT NULL FROM job_audit")
        assert audited == [("cron_job.add", "hello", True)]

    def test_one_that_can_not_be_reached_leaves_nothing(self, scheduler: Command, folder: Path) -> None:
        code, out, err = scheduler("init", "shop", "--database-url", UNREACHABLE)
        assert (code, out) == (2, "")
        assert "can't be reached" in err
        assert "secret" not in err
        assert not (folder / "shop").exists()

    def test_a_url_that_is_none_leaves_nothing(self, scheduler: Command, folder: Path) -> None:
        code, _, err = scheduler("init", "shop", "--database-url", "mysql://db/shop")
        assert code == 2
        assert "must be a Postgres URL" in err
        assert not (folder / "shop").exists()


class TestOtherFiles:
    @pytest.fixture
    def shop(self, folder: Path) -> Path:
        (folder / "shop" / ".git").mkdir(parents=True)
        (folder / "shop" / "README.md").write_text("mine")
        (folder / "shop" / "pyproject.toml").write_text("[project]")
        return folder / "shop"

    def test_what_else_is_there_stays(self, online: Command, shop: Path) -> None:
        assert online("init", "shop").code == 0
        assert (shop / "README.md").read_text() == "mine"
        assert {path.name for path in shop.iterdir()} == {
            *(".git", "README.md", "pyproject.toml", ".gitignore", "handlers", "scheduler.yaml")
        }

    @pytest.mark.parametrize("name", ["scheduler.yaml", "handlers/hello.py", "handlers/jobs/other.py"])
    def test_nothing_is_overwritten(self, scheduler: Command, shop: Path, name: str, database_url: str) -> None:
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text("mine")
        before = {path: path.is_file() and path.read_text() for path in shop.rglob("*")}
        code, _, err = scheduler("init", "shop", "--database-url", database_url)
        assert code == 1
        assert f"shop has {name} already: nothing was written" in err
        assert {path: path.is_file() and path.read_text() for path in shop.rglob("*")} == before

    def test_a_secret_file_is_added_to_once(self, scheduler: Command, shop: Path, database_url: str) -> None:
        (shop / ".env").write_text("TOKEN=abc")
        assert scheduler("init", "shop", "--database-url", database_url).code == 0
        first, second = (shop / ".env").read_text().splitlines()
        assert (first, second.partition("=")[0]) == ("TOKEN=abc", JOB_URL)
        (shop / "scheduler.yaml").unlink()
        (shop / "handlers" / "hello.py").unlink()
        code, _, err = scheduler("init", "shop", "--database-url", database_url)
        assert code == 1
        assert "shop has .env already: nothing was written" in err

    def test_an_interrupted_addition_is_taken_back(self, shop: Path) -> None:
        (shop / ".env").write_text("TOKEN=abc\n")
        with pytest.raises(KeyboardInterrupt), placed(shop, NewProject(urls={JOB_URL: "postgresql://h/d"})):
            assert JOB_URL in (shop / ".env").read_text()
            raise KeyboardInterrupt
        assert (shop / ".env").read_text() == "TOKEN=abc\n"

    def test_not_among_the_handlers_of_another(self, online: Command, folder: Path) -> None:
        assert online("init", "shop").code == 0
        code, _, err = online("init", "shop/handlers/deep")
        assert code == 1
        assert f"is among the handlers of the project in {folder / 'shop'}" in err
        assert not (folder / "shop" / "handlers" / "deep").exists()

    def test_settings_elsewhere_make_it_a_project(self, online: Command, shop: Path) -> None:
        (shop / "config").mkdir()
        (shop / "config" / "worker.yaml").write_text("worker: {pool_size: 2}")
        code, _, err = online("init", "shop")
        assert code == 1
        assert "shop is a project already, with its settings in config/worker.yaml" in err
        assert not (shop / "handlers").exists()

    def test_a_gitignore_is_kept_and_told_of_when_it_would_let_the_url_out(
        self, scheduler: Command, shop: Path, database_url: str
    ) -> None:
        (shop / ".gitignore").write_text("build/\n")
        code, out, err = scheduler("init", "shop", "--database-url", database_url)
        assert code == 0
        assert (shop / ".gitignore").read_text() == "build/\n"
        assert ".gitignore" not in out
        assert err.startswith("warning: .env holds the url, and .gitignore")


class TestInterrupted:
    @pytest.mark.parametrize("exists", [True, False])
    def test_in_the_middle_nothing_is_left(
        self, scheduler: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
    ) -> None:
        def interrupt(*_: object) -> None:
            assert (folder / "shop" / ".scheduler").is_dir()
            raise KeyboardInterrupt

        if exists:
            (folder / "shop").mkdir()
        monkeypatch.setattr(cron_jobs, "add", interrupt)
        assert scheduler("init", "shop", "--embedded").code == 130
        assert (folder / "shop").exists() == exists
        assert list(folder.glob("shop/*")) == []

    def test_at_a_question_nothing_is_left(self, folder: Path) -> None:
        controller, terminal = pty.openpty()
        typing = subprocess.Popen(
            [sys.executable, "-m", "scheduler", "init", "shop"],
            stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, cwd=folder, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, preexec_fn=_take_the_terminal,
        )  # fmt: skip
        with typing:
            asked = b""
            while b"[embedded]" not in asked:
                asked += os.read(controller, 1000)
            os.write(controller, b"\x03")
            assert typing.wait(30) == 130
        os.close(terminal)
        os.close(controller)
        assert not (folder / "shop").exists()


def _take_the_terminal() -> None:
    """Ctrl-C reaches whoever has it."""
    import fcntl
    import signal
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has its background jobs ignore it


class TestQuestions:
    def test_each_has_an_answer_of_its_own(self, scheduler: Command, answers: io.StringIO, database_url: str) -> None:
        type_in(answers, database_url, "y", "bills", "0 9 * * *")
        code, out, err = scheduler("init", "shop")
        assert code == 0
        assert re.findall("The database:|tables in|first handler|When", err) == [
            *("The database:", "tables in", "first handler", "When")
        ]
        assert "cron job bills, 0 9 * * *" in out
        assert rows(database_url, "SELECT name FROM cron_jobs") == [("bills",)]

    def test_a_wrong_answer_is_asked_again(self, scheduler: Command, answers: io.StringIO, database_url: str) -> None:
        type_in(answers, "localhost", UNREACHABLE, database_url, "n", "1st", "bills", "daily", "@daily")
        code, out, err = scheduler("init", "shop")
        assert code == 0
        assert err.count("Error: ") == 4
        assert "scheduler cron add bills @daily bills" in out

    def test_an_empty_answer_is_the_default(self, online: Command, answers: io.StringIO, migrated_url: str) -> None:
        type_in(answers, "", "")
        assert online("init", "shop").code == 0
        assert rows(migrated_url, "SELECT name, cron_expression FROM cron_jobs") == [("hello", "@every 5s")]

    @pytest.mark.parametrize("option", ["--yes", "--json"])
    def test_nobody_is_asked_who_does_not_want_to_be(self, online: Command, answers: io.StringIO, option: str) -> None:
        assert online("init", "shop", option).code == 0
