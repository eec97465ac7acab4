"""The environment that `./dev` makes: when, with what, and with which Python."""

import ast
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from types import ModuleType

import pytest

from tests.project.conftest import ROOT, give_environment, load


class TestStamp:
    def test_there_is_nothing_to_do_when_it_fits(self, dev: ModuleType, checkout: Path) -> None:
        assert not dev.is_current()
        give_environment(checkout)
        assert dev.is_current()

    @pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
    def test_it_covers_what_is_asked_for(self, dev: ModuleType, checkout: Path, name: str) -> None:
        give_environment(checkout)
        with (checkout / name).open("a") as file:
            file.write("# changed\n")
        assert not dev.is_current()

    def test_it_covers_the_interpreter(self, dev: ModuleType, checkout: Path) -> None:
        give_environment(checkout)
        other = checkout / "python3"
        other.write_text("#!/bin/sh\n")
        other.chmod(0o755)
        python = checkout / ".venv" / "bin" / "python"
        python.unlink()
        python.symlink_to(other)
        assert not dev.is_current()
        python.unlink()
        assert not dev.is_current()

    def test_it_covers_the_place(self, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        give_environment(checkout)
        moved = tmp_path_factory.mktemp("elsewhere") / "checkout"
        checkout.rename(moved)
        assert not load(moved).is_current()


class TestEnvironment:
    def test_whoever_waited_for_another_finds_it_done(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits = Event()
        monkeypatch.setattr(dev, "say", lambda sentence: waits.set() if "Another ./dev" in sentence else None)
        monkeypatch.setattr(dev, "make_environment", lambda: pytest.fail("made twice"))
        other = os.open(checkout, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = Thread(target=dev.ensure_environment)
        waiting.start()
        assert waits.wait(10)
        give_environment(checkout)
        os.close(other)
        waiting.join(10)
        assert not waiting.is_alive()

    def test_a_failure_leaves_no_stamp_and_says_what_failed(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dev, "make_environment", lambda: subprocess.run(["false", "in", "vain"], check=True))
        with pytest.raises(SystemExit, match=r"could not be made; .* It was: false in vain"):
            dev.ensure_environment()
        assert not (checkout / ".venv" / ".dev-stamp").exists()

    def test_uv_is_asked_first_and_pip_when_it_fails(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def install(installer: list[str]) -> None:
            asked.append(installer[0])
            if installer[0] == "/opt/uv":
                raise subprocess.CalledProcessError(1, installer)

        give_environment(checkout)
        monkeypatch.setattr(dev, "is_usable", lambda: True)
        monkeypatch.setattr(dev, "install", install)
        monkeypatch.setattr(dev, "pip", lambda: ["python", "-m", "pip"])
        monkeypatch.setattr(shutil, "which", lambda _: "/opt/uv")
        dev.make_environment()
        assert asked == ["/opt/uv", "python"]

    def test_an_interpreter_that_does_not_run_is_not_usable(self, dev: ModuleType, checkout: Path) -> None:
        assert not dev.is_usable()
        (checkout / ".venv" / "bin").mkdir(parents=True)
        python = checkout / ".venv" / "bin" / "python"
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
        assert not dev.is_usable()

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    def test_it_is_made_and_works_and_is_then_left_alone(self, tmp_path: Path) -> None:
        leave_out = shutil.ignore_patterns(".venv", ".git", ".scheduler", "__pycache__", ".*_cache")
        checkout = shutil.copytree(ROOT, tmp_path / "checkout", ignore=leave_out)
        command = [sys.executable, "dev", "test", "--version"]
        first = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
        assert "Making the environment" in first.stderr
        again = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
        assert again.stderr == ""
        assert again.stdout.startswith("pytest ")


class TestOldPython:
    def test_the_syntax_is_old_enough_to_get_to_the_point(self) -> None:
        assert ast.parse((ROOT / "dev").read_text(), feature_version=(3, 8))

    def test_it_starts_over_with_the_first_that_is_new_enough(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake(checkout / "python3.13", "exit 1")
        fake(checkout / "python3.12", "exit 0")
        assert self.restarted(dev, checkout, monkeypatch) == f"{checkout}/python3.12"

    def test_it_starts_over_with_what_uv_has(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake(checkout / "uv", "exit 0")
        assert self.restarted(dev, checkout, monkeypatch) == f"{checkout}/uv"

    def test_else_it_says_what_is_needed(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "Python 3.11 or newer is needed" in self.restarted(dev, checkout, monkeypatch)

    def restarted(self, dev: ModuleType, path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        """What it went on as, or its last words, with nothing on the PATH but `path`."""
        monkeypatch.setenv("PATH", str(path))
        monkeypatch.setattr(os, "execv", lambda program, _: sys.exit(program))
        with pytest.raises(SystemExit) as end:
            dev.restart_with_newer_python()
        return str(end.value.code)


def fake(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
