"""`scheduler jobs …`."""

import json

import pytest

from tests.cli.conftest import Command, Ran, Sql


class TestEnqueue:
    def test_the_id_and_nothing_else_is_printed(self, online: Command, sql: Sql) -> None:
        code, out, err = online("jobs", "enqueue", "email", '{"to": "a"}', "--queue", "mail", "--priority", "2")
        assert code == 0
        assert sql("SELECT id, handler_name, handler_params::text, queue, priority, status FROM job_executions") == [
            (int(out), "email", '{"to": "a"}', "mail", 2, "PENDING")
        ]
        assert "a handler's module that prints" in err

    def test_json(self, online: Command) -> None:
        assert list(json.loads(online("jobs", "enqueue", "email", "--json").out)) == ["id"]

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
            (["email", "{to: 1}"], "Invalid value for PARAMS_JSON: '{to: 1}' is not JSON"),
            (["email", "NaN"], "NaN is no number of JSON"),
            (["email", '{"a": "\\u0000"}'], "error: A value is refused"),
            (["email", "--at", "soon"], "'soon' is not a time"),
            (["email", "--at", "2030-01-01", "--delay", "3"], "either --delay or --at"),
            (["email", "--at", "9999-12-31"], "must hold"),
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
        ],
    )
    def test_filters_and_pages(self, online: Command, options: list[str], found: list[int]) -> None:
        assert self.ids(online, *options) == found

    def test_a_full_page_says_how_to_go_on(self, online: Command) -> None:
        assert online("jobs", "list", "--limit", "2").err == "Older ones: --before 12\n"

    def test_none(self, online: Command) -> None:
        assert tuple(online("jobs", "list", "--handler", "nobody")) == (0, "", "No execution is like that.\n")

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
            "1 (1 failed, 1 may fail)",
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
