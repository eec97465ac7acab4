"""`./dev`, in copies of its own: no test touches the environment that the tests run in."""

import ast
import fcntl
import os
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from threading import Event, Thread
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["run", "test", "bench", "check", "fix", "schema", "docs", "scheduler"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with `dev` and what its stamp depends on, without an environment."""
    for name in ("dev", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def dev(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(checkout)
    return load(checkout)


def load(checkout: Path) -> ModuleType:
    loader = SourceFileLoader("dev", str(checkout / "dev"))
    spec = spec_from_loader("dev", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def typed(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, checkout / "dev", *arguments], capture_output=True, text=True, check=False, timeout=30
    )


def give_environment(checkout: Path) -> None:
    """What `is_current` looks at: an interpreter, and a stamp that fits."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (checkout / ".venv" / ".dev-stamp").write_text(load(checkout).stamp())


class TestCommands:
    @pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
    def test_it_lists_what_it_can_do_before_there_is_an_environment(self, checkout: Path, arguments: list[str]) -> None:
        answer = typed(checkout, *arguments)
        assert answer.returncode == 0
        listed = [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")]
        assert listed == COMMANDS
        assert not (checkout / ".venv").exists()

    @pytest.mark.parametrize(("mistyped", "meant"), [("tset", "test"), ("chekc", "check"), ("ru", "run")])
    def test_a_mistyped_command_is_answered_with_the_nearest(self, checkout: Path, mistyped: str, meant: str) -> None:
        answer = typed(checkout, mistyped)
        assert answer.returncode == 2
        assert f"Did you mean './dev {meant}'?" in answer.stderr
        assert not (checkout / ".venv").exists()

    def test_a_command_like_no_other_gets_no_guess(self, checkout: Path) -> None:
        answer = typed(checkout, "zzz")
        assert answer.returncode == 2
        assert "Did you mean" not in answer.stderr

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["run", "--until-idle"], ["-m", "scheduler", "run", "--embedded", "--until-idle"]),
            (["scheduler", "cron", "list"], ["-m", "scheduler", "cron", "list"]),
            (["test", "tests/rules", "-x"], ["-m", "pytest", "tests/rules", "-x"]),
            (["schema"], ["-m", "scheduler.testing.documents"]),
        ],
    )
    def test_arguments_are_handed_on(
        self,
        dev: ModuleType,
        checkout: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        expected: list[str],
    ) -> None:
        give_environment(checkout)
        monkeypatch.setattr(os, "execv", lambda python, command: sys.exit(f"{python} {command[1:]}"))
        monkeypatch.setattr(dev, "give_samples", lambda: None)
        with pytest.raises(SystemExit) as become:
            dev.main(arguments)
        assert become.value.code == f"{checkout}/.venv/bin/python {expected}"

    def test_commands_without_arguments_refuse_them(self, dev: ModuleType) -> None:
        with pytest.raises(SystemExit, match=r"'\./dev check' takes no arguments: leave out '--fast'"):
            dev.check(["--fast"])

    def test_check_runs_every_check_and_names_the_failed(
        self, dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(dev, "call", lambda *arguments: 1 if "ruff" in arguments else 0)
        assert dev.check([]) == 1
        headlines = capfd.readouterr().out.split("\n── ")
        assert headlines[-1] == "failed: ruff check, ruff format\n"
        assert len(headlines) == 6
        monkeypatch.setattr(dev, "call", lambda *_: 0)
        assert dev.check([]) == 0

    @pytest.mark.parametrize(("codes", "expected"), [([0, 0], 0), ([1, 0], 1), ([0, 1], 1)])
    def test_the_tests_run_again_on_postgresql_15(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, codes: list[int], expected: int
    ) -> None:
        (checkout / "postgres").touch()
        monkeypatch.setattr(dev, "POSTGRES_15", checkout)
        calls: list[tuple[tuple[str, ...], dict[str, str]]] = []

        def call(*arguments: str, **variables: str) -> int:
            calls.append((arguments, variables))
            return codes[len(calls) - 1]

        monkeypatch.setattr(dev, "call", call)
        assert dev.test([]) == expected
        (first, no_variables), (second, variables) = calls
        assert no_variables == {}
        assert second[: len(first)] == first
        assert all(further.startswith("--ignore=tests/") for further in second[len(first) :])
        assert variables == {"SCHEDULER_PG_BIN": str(checkout)}

    def test_it_says_when_there_is_no_postgresql_15(
        self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(dev, "POSTGRES_15", checkout / "nowhere")
        monkeypatch.setattr(dev, "call", lambda *_: 0)
        assert dev.test([]) == 0
        assert "on the embedded server only" in capfd.readouterr().err


class TestSamples:
    """`./dev run` gives a new checkout its cron jobs; tests/examples shows what they do."""

    @pytest.fixture
    def asked(self, dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        give_environment(checkout)
        (checkout / ".scheduler").mkdir()
        calls: list[tuple[str, ...]] = []

        def call(*arguments: str) -> int:
            calls.append(arguments)
            return 0

        monkeypatch.setattr(dev, "call", call)
        monkeypatch.setattr(dev, "become", call)
        return calls

    def test_they_are_given_once(self, dev: ModuleType, asked: list[tuple[str, ...]]) -> None:
        given, started = ("-m", "handlers"), ("-m", "scheduler", "run", "--embedded")
        dev.main(["run"])
        assert asked == [given, started]
        dev.main(["run"])
        assert asked == [given, started, started]

    def test_nobody_gets_them_who_only_asks_for_help(self, dev: ModuleType, asked: list[tuple[str, ...]]) -> None:
        dev.main(["run", "--help"])
        assert asked == [("-m", "scheduler", "run", "--embedded", "--help")]

    def test_a_failure_ends_the_start_and_the_next_one_tries_again(
        self, dev: ModuleType, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dev, "call", lambda *_: 2)
        with pytest.raises(SystemExit) as end:
            dev.main(["run"])
        assert end.value.code == 2
        assert asked == []
        assert not dev.EMBEDDED.joinpath("samples").exists()


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
