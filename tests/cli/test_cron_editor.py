"""`scheduler cron edit NAME` on a terminal: the row as YAML in somebody's editor."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cli import editor
from scheduler.cli.cron import document
from scheduler.errors import RefusedError
from scheduler.model import Backoff, OverlapPolicy
from scheduler.operations.cron_job_page import CronJob, find
from scheduler.operations.cron_jobs import CronJobDefinition, add
from scheduler.store.session import SyncSession
from tests.cli.conftest import Command, Ran, Sql

# Each time it is opened, it makes the next replacement in the file, and keeps what it has seen.
EDITOR = """\
import json, sys
from pathlib import Path
script, file = Path(sys.argv[1]), Path(sys.argv[2])
steps = json.loads(script.read_text())
text = file.read_text()
print(text, file=(script.parent / "seen.txt").open("a"))
old, new = steps.pop(0)
assert old in text, (old, text)
file.write_text(text.replace(old, new))
script.write_text(json.dumps(steps))
"""
Edit = Callable[[Sequence[tuple[str, str]]], Ran]


@pytest.fixture
def seen(tmp_path: Path) -> Callable[[], str]:
    return lambda: (tmp_path / "seen.txt").read_text()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What is left in the folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return lambda: [path.read_text() for path in folder.iterdir()]


@pytest.fixture
def edit(
    online: Command, sql: Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Callable[[], list[str]]
) -> Edit:
    """Edit the cron job `nightly` with one replacement for each time that the editor opens."""
    sql(
        "INSERT INTO cron_jobs (name, cron_expression, timezone, handler_name, handler_params, description)"
        """ VALUES ('nightly', '* * * * *', 'Asia/Seoul', 'email', '{"to": "ada", "big": 1.10}', 'why: not #1')"""
    )
    (tmp_path / "editor.py").write_text(EDITOR)

    def run(replacements: Sequence[tuple[str, str]]) -> Ran:
        script = tmp_path / "steps.json"
        script.write_text(json.dumps(replacements))
        monkeypatch.setenv("VISUAL", f"{sys.executable} {tmp_path / 'editor.py'} {script}")
        monkeypatch.setattr("scheduler.cli.cron.edit._on_a_terminal", lambda: True)
        ran = online("cron", "edit", "nightly")
        assert json.loads(script.read_text()) == [], "the editor was opened less often than expected"
        return ran

    return run


def columns(sql: Sql, *names: str) -> tuple[object, ...]:
    return sql(f"SELECT {', '.join(names)} FROM cron_jobs")[0]


def test_a_change_is_made_and_told(edit: Edit, sql: Sql, kept: Callable[[], list[str]]) -> None:
    code, out, err = edit([("timeout_seconds: null", "timeout_seconds: 30.5")])
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        "Changed cron job 'nightly':",
        "column           old                new ",
        "timeout_seconds  the handler's own  30.5",
    ]
    assert "Its next ticks:" in out
    assert columns(sql, "timeout_seconds", "description", "handler_params::text") == (
        30.5, "why: not #1", '{"to": "ada", "big": 1.10}',
    )  # fmt: skip
    assert kept() == []


def test_every_column_stands_there_with_what_it_means(edit: Edit, seen: Callable[[], str]) -> None:
    edit([("priority: 0", "priority: 1")])
    text = seen()
    assert text.startswith("# Cron job 'nightly'. Save this and leave the editor to change it;")
    assert "\n# -9 to 9; higher runs first within its queue.\npriority: 0\n" in text
    assert "\ncron_expression: '* * * * *'\n" in text
    assert '\nhandler_params: |\n  {"to": "ada", "big": 1.10}\n' in text


@pytest.mark.parametrize("replacement", [("priority: 0", "priority: 0"), ("priority: 0", "priority: 00")])
def test_nothing_changed(edit: Edit, replacement: tuple[str, str], kept: Callable[[], list[str]]) -> None:
    assert tuple(edit([replacement])) == (0, "Nothing changed: cron job 'nightly' is like that already.\n", "")
    assert kept() == []


def test_a_refusal_brings_the_editor_back_with_the_reason(edit: Edit, sql: Sql, seen: Callable[[], str]) -> None:
    code, _, err = edit(
        [
            ("timezone: Asia/Seoul", "timezone: Asia/Seul"),
            ("timezone: Asia/Seul", "timezone: Asia/Tokyo\npriority: 10"),
            ("timezone: Asia/Tokyo\npriority: 10", "timezone: Asia/Tokyo"),
        ]
    )
    assert (code, err) == (0, "")
    assert columns(sql, "timezone", "priority") == ("Asia/Tokyo", 0)
    reasons = [line for line in seen().splitlines() if line.startswith("#! ")]
    assert reasons == [
        "#! The time zone 'Asia/Seul' is unknown: write an IANA name such as 'Asia/Seoul'. Did you mean 'Asia/Seoul'?",
        "#! priority is there twice: keep one of the two.",
    ]


def test_left_as_it_was_refused_it_is_given_up_and_kept(edit: Edit, sql: Sql, kept: Callable[[], list[str]]) -> None:
    code, out, err = edit([("priority: 0", "priority: 99"), ("priority: 99", "priority: 99")])
    assert (code, out) == (2, "")
    note, error = err.splitlines()
    assert note.startswith("note: What you wrote about 'nightly' is kept in ")
    assert error == "error: priority must be from -9 to 9."
    assert "\npriority: 99\n" in kept()[0]
    assert columns(sql, "priority") == (0,)


def test_a_lost_update_is_no_loss(
    edit: Edit, sql: Sql, kept: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened_while_somebody_else_edits(path: Path) -> None:
        opened(path)
        sql("UPDATE cron_jobs SET timezone = 'Asia/Tokyo'")

    opened = editor._open_editor
    monkeypatch.setattr(editor, "_open_editor", opened_while_somebody_else_edits)
    code, out, err = edit([("priority: 0", "priority: 3")])
    assert (code, out) == (1, "")
    assert "error: Somebody else has edited cron job 'nightly' meanwhile (timezone: Asia/Seoul → Asia/Tokyo)" in err
    assert "\npriority: 3\n" in kept()[0]
    assert columns(sql, "priority", "timezone") == (0, "Asia/Tokyo")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("false", 1, "error: The editor 'false' ended with 1, so nothing was changed.\n"),
        ("/no/such/editor", 2, "error: The editor '/no/such/editor' can't be started"),
        ("vi '", 2, "error: The editor \"vi '\" can't be started"),
    ],
)
def test_an_editor_that_fails(
    edit: Edit,
    online: Command,
    monkeypatch: pytest.MonkeyPatch,
    kept: Callable[[], list[str]],
    command: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr("scheduler.cli.cron.edit._on_a_terminal", lambda: True)
    monkeypatch.setenv("VISUAL", command)
    ran = online("cron", "edit", "nightly")
    assert ran.code == code
    assert ran.err.startswith(said)
    assert kept() == []


class TestDocument:
    @pytest.fixture
    def job(self, migrated_url: str) -> CronJob:
        session = SyncSession(migrated_url, "public", "test")
        add(
            session,
            CronJobDefinition(
                name="yes: 'it' #is",
                cron_expression="@every 90s",
                handler_name="01.10",
                handler_params='{"to": "주소\\u0007\\ud83d\\ude00", "n": 12345678901234567890.10, "a": [null]}',
                description="two\nlines\x7f, and \u0085 \t more  ",
                retry_backoff=Backoff.FIXED,
            ),
        )
        found = find(session, "yes: 'it' #is")
        session.close()
        return found

    def test_what_is_written_is_read_as_it_was(self, job: CronJob) -> None:
        read = document.read(document.written(job), job.definition)
        assert read.description == job.description
        assert json.loads(read.handler_params) == json.loads(job.handler_params)
        assert "12345678901234567890.10" in read.handler_params
        assert read == CronJobDefinition(
            **{name: getattr(job.definition, name) for name in CronJobDefinition.__slots__ if name != "handler_params"},
            handler_params=read.handler_params,
        )

    def test_no_character_steers_the_terminal(self, job: CronJob) -> None:
        assert all(char.isprintable() or char == "\n" for char in document.written(job))

    def test_what_is_left_out_stays(self, job: CronJob) -> None:
        read = document.read("overlap_policy: queue\n", job.definition)
        assert read.overlap_policy is OverlapPolicy.QUEUE
        assert read.description == job.description

    def test_params_may_be_written_in_lines(self, job: CronJob) -> None:
        text = dedent(
            """\
            handler_params: |
              {
                "to": "x"
              }
            """
        )
        assert json.loads(document.read(text, job.definition).handler_params) == {"to": "x"}

    @pytest.mark.parametrize("nothing", ["", " null", " ~"])
    def test_nothing_is_null(self, job: CronJob, nothing: str) -> None:
        assert document.read(f"retry_backoff:{nothing}\n", job.definition).retry_backoff is None
        assert document.read("description: 'null'\n", job.definition).description == "null"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("timezone: [", "Line 1 is no YAML: put"),
            ("just words", "A line has to be a column and its value"),
            ("timezon: UTC", "There is no column 'timezon' to edit. Did you mean 'timezone'?"),
            ("id: 5", "There is no column 'id' to edit."),
            ("timezone:", "timezone can't be empty: write a value."),
            ("timezone: [UTC]", "timezone: write one value"),
            ("handler_params: {to: x}", "handler_params: write JSON, indented below"),
            ("handler_params: '{'", "handler_params: '{' is not JSON"),
            ("priority: high", "priority: 'high' is not a whole number."),
            ("timeout_seconds: soon", "timeout_seconds: 'soon' is not a number."),
            ("enabled: maybe", "enabled: 'maybe' is neither true nor false."),
            ("starts_at: tomorrow", "starts_at: 'tomorrow' is not a time: write ISO 8601"),
            ("catch_up: al", "catch_up: 'al' is none of latest, skip, all. Did you mean 'all'?"),
        ],
    )
    def test_what_cannot_be_read_is_a_sentence(self, job: CronJob, text: str, said: str) -> None:
        with pytest.raises(RefusedError) as refused:
            document.read(text, job.definition)
        assert str(refused.value).startswith(said)


@given(description=st.text(max_size=60), name=st.text(min_size=1, max_size=60))
def test_what_nobody_touched_comes_back_as_it_was(description: str, name: str) -> None:
    job = CronJobDefinition(name=name, cron_expression="@daily", handler_name="email", description=description)
    assert document.read(document.written(job), job) == job
