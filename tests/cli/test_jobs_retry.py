"""`scheduler jobs retry ID` with other params: in an editor, and of a megabyte."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Ran, Sql

EDITOR = """\
import sys
from pathlib import Path
script, file = Path(sys.argv[1]), Path(sys.argv[2])
old, new, *rest = script.read_text().split("|")
text = file.read_text()
assert old in text, (old, text)
file.write_text(text.replace(old, new))
script.write_text("|".join(rest))
"""
Edit = Callable[..., Ran]


@pytest.fixture
def edit(online: Command, sql: Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Retry execution 1 with a replacement for each time that the editor opens."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    sql(
        "INSERT INTO job_executions (id, handler_name, status, finished_at, handler_params)"
        """ VALUES (1, 'email', 'FAILED', job_now(), '{"to": "ad", "rate": 1.10}')"""
    )

    def run(*replacements: tuple[str, str]) -> Ran:
        (tmp_path / "editor.py").write_text(EDITOR)
        script = tmp_path / "script.txt"
        script.write_text("|".join(part for replacement in replacements for part in replacement))
        monkeypatch.setenv("VISUAL", f"{sys.executable} {tmp_path / 'editor.py'} {script}")
        return online("jobs", "retry", "1", "--edit")

    return run


def row(sql: Sql) -> tuple[object, ...]:
    return sql("SELECT status, handler_params::text FROM job_executions WHERE id = 1")[0]


def test_what_was_edited_waits_again_and_the_rest_is_as_it_was(edit: Edit, sql: Sql) -> None:
    assert edit(('"ad"', '"ada"')).code == 0
    assert row(sql) == ("PENDING", '{"to": "ada", "rate": 1.10}')


def test_the_editor_comes_back_with_what_is_wrong(edit: Edit, sql: Sql) -> None:
    ran = edit(('"ad"', '"ad'), ("is not JSON", "is not JSON"))
    assert ran.code == 2
    assert "is kept in" in ran.err
    assert row(sql) == ("FAILED", '{"to": "ad", "rate": 1.10}')


def test_what_was_wrong_may_be_mended(edit: Edit, sql: Sql) -> None:
    assert edit(('"ad"', '"ad'), ('    "to": "ad,', '    "to": "ada",')).code == 0
    assert row(sql) == ("PENDING", '{"to": "ada", "rate": 1.10}')


@pytest.mark.parametrize("replacement", [("ad", "ad"), ('{\n    "to": "ad",\n    "rate": 1.10\n}', "")])
def test_left_as_it_is_or_emptied_nothing_is_retried(edit: Edit, sql: Sql, replacement: tuple[str, str]) -> None:
    ran = edit(replacement)
    assert (ran.code, ran.err) == (0, "Nothing was changed: execution 1 stays FAILED.\n")
    assert row(sql) == ("FAILED", '{"to": "ad", "rate": 1.10}')


def test_one_that_waits_opens_no_editor(edit: Edit, sql: Sql) -> None:
    sql("UPDATE job_executions SET status = 'PENDING', finished_at = NULL")
    ran = edit(("never", "opened"))
    assert (ran.code, ran.err) == (1, "error: Execution 1 waits already.\n")


def test_a_megabyte_that_is_not_json_is_answered_in_a_line(online: Command) -> None:
    ran = online("jobs", "retry", "1", "--params", "x" * 100_000)
    assert ran.code == 2
    assert len(ran.err) < 1000
