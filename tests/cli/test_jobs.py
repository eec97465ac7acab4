"""`scheduler jobs …`."""

import json
from collections.abc import Callable, Iterator
from io import StringIO

import pytest

from tests.cli.conftest import Command, Ran, Sql


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What somebody types who sits at a terminal, as stdin and stderr say."""

    class Typed(StringIO):
        def isatty(self) -> bool:
            return True

    def sits(typed: str) -> None:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("sys.stdin", Typed(typed))
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    return sits


class TestEnqueue:
    def test_the_id_and_nothing_else_is_printed(self, online: Command, sql: Sql) -> None:
        code, out, err = online("jobs", "enqueue", "email", '{"to": "a"}', "--queue", "mail", "--priority", "2")
        assert code == 0
        assert sql("SELECT id, handler_name, handler_params::text, queue, priority, status FROM job_executions") == [
            (int(out), "email", '{"to": "a"}', "mail", 2, "PENDING")
        ]
        assert "a handler's module that prints" in err

    def test_json(self, online: Command) -> None:
        assert list(json.loads(online("jobs", "enqueue", "email", "--json").out)) == ["id", "existing"]

    def test_later(self, online: Command, sql: Sql) -> None:
        online("jobs", "enqueue", "email", "--at", "2030-01-02T03:04", "--timeout", "9", "--max-retry", "1")
        online("jobs", "enqueue", "email", "--delay", "3600")
        at, delayed = sql("SELECT available_at = '2030-01-02 03:04+00', timeout_seconds, max_retry, "
                          "available_at > job_now() + interval '3590 s' FROM job_executions ORDER BY id")  # fmt: skip
        assert at[:3] == (True, 9, 1)
        assert delayed[3]

    def test_a_unique_key_gives_the_same_id_again(self, online: Command) -> None:
        first, second = (online("jobs", "enqueue", "email", "--unique-key", "k").out for _ in range(2))
        assert first == second

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["email", "{to: 1}"], "error: PARAMS_JSON: '{to: 1}' is not JSON"),
            (["email", "NaN"], "NaN is no number of JSON"),
            (["email", '{"a": "\\u0000"}'], "error: A value is refused"),
            (["email", "--at", "soon"], "'soon' is not a time"),
            (["email", "--at", "2030-01-01", "--delay", "3"], "either --delay or --at"),
            (["email", "--at", "9999-12-31"], "is out of range: write a time from 1970 up to the year 9000"),
            (["em\udc80ail"], "not UTF-8"),
        ],
    )
    def test_what_is_wrong_is_said(self, online: Command, sql: Sql, arguments: list[str], said: str) -> None:
        code, out, err = online("jobs", "enqueue", *arguments)
        assert (code, out) == (2, "")
        assert said in err
        assert sql("SELECT id FROM job_executions") == []

    def test_a_mistyped_handler(self, online: Command) -> None:
        code, out, err = online("jobs", "enqueue", "emial")
        assert (code, out.strip().isdigit()) == (0, True)
        assert "Did you mean 'email'?" in err


class TestList:
    @pytest.fixture(autouse=True)
    def rows(self, migrated_url: str, sql: Sql) -> None:
        sql("INSERT INTO cron_jobs (id, name, cron_expression, handler_name) VALUES (1, 'nightly', '@daily', 'email')")
        sql(
            "INSERT INTO job_executions (id, handler_name, queue, status, cron_job_id, started_at, finished_at, error)"
            "VALUES (11, 'email', 'mail', 'SUCCESS', NULL, job_now() - interval '2 s', job_now() - interval '.5s', ''),"
            " (12, 'email', 'default', 'FAILED', 1, NULL, job_now(), E'first line\\nsecond line'),"
            " (13, 'shout', 'default', 'PENDING', NULL, NULL, NULL, NULL)"
        )

    def ids(self, online: Command, *options: str) -> list[int]:
        return [row["id"] for row in json.loads(online("jobs", "list", "--json", *options).out)]

    def test_newest_first(self, online: Command) -> None:
        code, out, err = online("jobs", "list")
        assert (code, err) == (0, "")
        waiting, failed, succeeded = Ran(code, out, err).table()
        assert (waiting["id"], waiting["status"], waiting["took"]) == ("13", "PENDING", "")
        assert (failed["id"], failed["cron job"], failed["error"]) == ("12", "nightly", "first line")
        assert (succeeded["id"], succeeded["queue"], succeeded["took"]) == ("11", "mail", "1.50 s")

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            (["--status", "failed"], [12]),
            (["--handler", "email"], [12, 11]),
            (["--queue", "mail"], [11]),
            (["--cron", "nightly"], [12]),
            (["--limit", "2"], [13, 12]),
            (["--before", "12"], [11]),
            (["--handler", "email", "--status", "SUCCESS"], [11]),
            (["--status", "failed,pending"], [13, 12]),
            (["--status", "dead", "--status", "success"], [12, 11]),
            (["--status", "final"], [12, 11]),
            (["--error", "SECOND"], [12]),
            (["--since", "1h", "--limit", "1"], [13]),
            (["--until", "1h"], []),
        ],
    )
    def test_filters_and_pages(self, online: Command, options: list[str], found: list[int]) -> None:
        assert self.ids(online, *options) == found

    def test_a_full_page_says_how_to_go_on(self, online: Command) -> None:
        assert online("jobs", "list", "--limit", "2").err == "Older ones: --before 12\n"

    def test_none(self, online: Command) -> None:
        assert tuple(online("jobs", "list", "--error", "nobody")) == (0, "", "No execution matches.\n")

    def test_the_end_of_patience_is_told_to_programs_too(
        self, online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scheduler.operations.search._WINDOW", 1)
        code, out, err = online("jobs", "list", "--handler", "nobody", "--patience", "0", "--json")
        assert (code, json.loads(out)) == (0, [])
        assert err.startswith("note: In 0 s all was seen down to id 13, created ")
        assert "Go on with --before 13, look longer with --patience" in err

    def test_an_unknown_cron_job(self, online: Command) -> None:
        code, _, err = online("jobs", "list", "--cron", "nightli")
        assert code == 1
        assert "No cron job is named 'nightli'. Did you mean 'nightly'?" in err


class TestShow:
    def test_all_that_is_known(self, online: Command, sql: Sql) -> None:
        attempt = {"attempt": 1, "outcome": "failure", "at": "2026-01-01T00:00:00+00:00", "error": "no paper"}
        errors = json.dumps([{**attempt, "traceback": "Traceback:\n  line 4"}, "by hand"])
        sql(
            "INSERT INTO job_executions (id, handler_name, handler_params, status, retry_count, max_retry, attempt,"
            " finished_at, error, errors) VALUES (7, 'shout', '{\"loud\": true}', 'FAILED', 1, 1, 1,"
            f" job_now(), E'no \\x1bpaper', '{errors}')"
        )
        code, out, err = online("jobs", "show", "7")
        assert (code, err) == (0, "")
        assert "\x1b" not in out
        for said in (
            "FAILED",
            "1 (1 failed of 1 tries)",
            "no try left: `scheduler jobs retry 7`",
            '"loud": true',
            "outcome    failure",
            "traceback  Traceback:",
            "by hand",
        ):
            assert said in out
        assert out.splitlines()[-1] == "error  by hand"
        shown = json.loads(online("jobs", "show", "7", "--json").out)
        assert shown["handler_params"] == {"loud": True}
        assert [attempt["error"] for attempt in shown["errors"]] == ["no paper", "by hand"]

    def test_an_unknown_id(self, online: Command) -> None:
        code, out, err = online("jobs", "show", "99")
        assert (code, out) == (1, "")
        assert err == "error: No execution has the id 99: `scheduler jobs list` shows the newest.\n"

    def test_it_is_followed_on_a_terminal_until_it_is_final(
        self, online: Command, sql: Sql, terminal: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        online("jobs", "enqueue", "email")
        sql("UPDATE job_executions SET progress = 0.4, progress_message = 'page 2'")

        def pause(seconds: float) -> None:
            sql("UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now(), result = '{\"sent\": true}'")

        monkeypatch.setattr("scheduler.operations.waiting.sleep", pause)
        monkeypatch.setattr("scheduler.cli.progress._NOT_BEFORE", 0)
        terminal("")
        code, out, err = online("jobs", "show", "1", "-f")
        assert (code, "SUCCESS" in out, '{"sent": true}' in out) == (0, True, True)
        assert "1 (email) PENDING 40% page 2" in err

    def test_what_is_final_is_shown_at_once(self, online: Command, sql: Sql) -> None:
        online("jobs", "enqueue", "email")
        online("jobs", "cancel", "1")
        assert online("jobs", "show", "1", "--follow") == online("jobs", "show", "1")
        assert online("jobs", "show", "99", "-f").code == 1


class TestWait:
    def test_what_waits_is_shown_on_a_terminal(
        self, online: Command, sql: Sql, terminal: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        online("jobs", "enqueue", "email")
        sql("UPDATE job_executions SET progress = 0.4, progress_message = 'page\x1b 2'")

        def pause(seconds: float) -> None:
            sql("UPDATE job_executions SET status = 'SUCCESS', finished_at = job_now(), result = '{\"sent\": true}'")

        monkeypatch.setattr("scheduler.operations.waiting.sleep", pause)
        monkeypatch.setattr("scheduler.cli.progress._NOT_BEFORE", 0)
        terminal("")
        code, out, err = online("jobs", "wait", "1")
        assert (code, out) == (0, '1 (email) SUCCESS: {"sent": true}\n')
        assert "1 (email) PENDING 40% page\ufffd 2, no worker serves its queue 'default'" in err

    @pytest.mark.parametrize(("status", "code", "said"), [("SUCCESS", 0, "SUCCESS: 7"), ("FAILED", 1, "FAILED: No")])
    def test_enqueue_and_wait(
        self, online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch, status: str, code: int, said: str
    ) -> None:
        def pause(seconds: float) -> None:
            sql(f"UPDATE job_executions SET status = '{status}', finished_at = job_now(), result = '7', error = 'No'")

        monkeypatch.setattr("scheduler.operations.waiting.sleep", pause)
        ran = online("jobs", "enqueue", "email", "--wait")
        assert (ran.code, ran.out) == (code, f"1\n1 (email) {said}\n")
        ran = online("jobs", "enqueue", "email", "--wait", "--json")
        assert (ran.code, json.loads(ran.out)["status"]) == (code, status)


class TestRetry:
    @pytest.fixture(autouse=True)
    def rows(self, migrated_url: str, sql: Sql) -> None:
        sql("INSERT INTO job_executions (id, handler_name, status, finished_at)"
            " SELECT n, 'email', 'FAILED', job_now() FROM generate_series(1, 1200) AS n")  # fmt: skip

    def waiting(self, sql: Sql) -> int:
        ((count,),) = sql("SELECT count(*) FROM job_executions WHERE status = 'PENDING'")
        return int(count)

    @pytest.mark.parametrize(
        ("typed", "code", "count"), [("y\n", 0, 1200), ("n\n", 1, 0), ("\n", 1, 0)], ids=["yes", "no", "nothing"]
    )
    def test_a_terminal_is_asked(
        self,
        online: Command,
        sql: Sql,
        terminal: Callable[[str], None],
        monkeypatch: pytest.MonkeyPatch,
        typed: str,
        code: int,
        count: int,
    ) -> None:
        terminal(typed)
        monkeypatch.setattr("scheduler.cli.progress._NOT_BEFORE", 0)
        ran = online("jobs", "retry", "--handler", "email")
        assert "looking" in ran.err
        assert "1,200 executions, FAILED of email." in ran.err
        assert "Retry all of them? [y/N]" in ran.err
        assert (ran.code, self.waiting(sql)) == (code, count)
        assert ("1,200 executions wait again" in ran.out) == bool(count)

    def test_an_interruption_says_how_far_it_came(
        self, online: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> Iterator[list[object]]:
            yield [None] * 500
            raise KeyboardInterrupt

        monkeypatch.setattr("scheduler.operations.bulk.act", interrupted)
        ran = online("jobs", "retry", "--handler", "email", "--yes")
        assert tuple(ran) == (130, "", "Interrupted: 500 of 1,200 had had their turn.\n")

    def test_nobody_is_asked_without_a_terminal(self, online: Command, sql: Sql) -> None:
        assert online("jobs", "retry", "--handler", "email").code == 2
        assert self.waiting(sql) == 0

    def test_the_newest_so_many(self, online: Command, sql: Sql) -> None:
        assert online("jobs", "retry", "--handler", "email", "--limit", "10", "--yes").code == 0
        assert sql("SELECT min(id), count(*) FROM job_executions WHERE status = 'PENDING'") == [(1191, 10)]

    def test_many_that_are_refused_are_not_all_listed(self, online: Command, sql: Sql) -> None:
        sql("UPDATE job_executions SET unique_key = 'k' WHERE id <= 20")
        ran = online("jobs", "retry", "--status", "failed", "--yes")
        assert ran.code == 1
        assert ran.out == "1,181 executions wait again, with all tries.\n"
        *listed, more = ran.err.splitlines()
        assert len(listed) == 10
        assert more == "error: … and 9 more were refused; --json names all."
