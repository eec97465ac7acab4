"""What `./dev` can do, and what its commands start."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.project.conftest import give_environment

COMMANDS = ["run", "test", "bench", "chaos", "mutants", "reliability", "check", "fix", "schema", "docs", "scheduler"]


def typed(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, checkout / "dev", *arguments], capture_output=True, text=True, check=False, timeout=30
    )


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
            (["bench", "flat", "--json"], ["-m", "benchmarks.flat", "--json"]),
            (
                ["bench", "--peers", "--rounds", "1"],
                ["-m", "benchmarks.peers", "--write", "docs/benchmarks.md", "--rounds", "1"],
            ),
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

    @pytest.mark.parametrize(
        ("failing", "alone", "code", "runs"),
        [([], 0, 0, 1), (["a"], 0, 0, 2), (["a", "b"], 1, 1, 2), (["a", "b", "c"], 0, 1, 1)],
        ids=["none", "one, by accident", "two, for good", "too many"],
    )
    def test_one_or_two_failing_tests_are_tried_again_alone(
        self, dev: ModuleType, monkeypatch: pytest.MonkeyPatch, failing: list[str], alone: int, code: int, runs: int
    ) -> None:
        asked: list[tuple[str, ...]] = []

        def call(*arguments: str, **variables: str) -> int:
            asked.append(arguments)
            cache = dev.ROOT / ".pytest_cache" / "v" / "cache"
            cache.mkdir(parents=True, exist_ok=True)
            (cache / "lastfailed").write_text(json.dumps(dict.fromkeys(failing, True)))
            return (1 if failing else 0) if len(asked) == 1 else alone

        monkeypatch.setattr(dev, "call", call)
        assert dev.steadily("-m", "pytest", "-n", "3") == code
        assert len(asked) == runs
        assert asked[1:] == [("-m", "pytest", *failing)] * (runs - 1)

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
        assert list(second[len(first) :]) == [f"tests/{each}" for each in dev.OF_THE_SERVER]
        here = Path(__file__).parents[2]
        assert all((here / further).exists() for further in second[len(first) :])
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
