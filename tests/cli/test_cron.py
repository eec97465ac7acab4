"""`scheduler cron …`."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, Sql

CASES = json.loads((Path(__file__).parents[1] / "data" / "cron_cases.json").read_text())
BACKWARDS = ("--after", "2026-01-02", "--until", "2026-01-01")
UNQUOTED = "Put the expression in quotes, such as '30 2 * * *': the shell takes it apart.\n"
GAP = ("30 2 * * *", "--tz", "America/New_York", "--after", "2026-03-07", "--until", "2026-03-10")


class TestPreview:
    @pytest.mark.parametrize("case", CASES[:6], ids=lambda case: f"{case['expr']} {case['tz']}")
    def test_json_lists_the_ticks_of_the_window(self, scheduler: Command, case: dict[str, Any]) -> None:
        window = ("--after", case["from"], "--until", case["to"])
        code, out, _ = scheduler("cron", "preview", case["expr"], "--tz", case["tz"], *window, "--json")
        assert code == 0
        assert [tick["utc"] for tick in json.loads(out)] == case["expect"]

    def test_local_is_on_the_wall_clock_of_the_zone(self, scheduler: Command) -> None:
        ticks = json.loads(scheduler("cron", "preview", *GAP, "--json").out)
        assert [tick["local"] for tick in ticks] == [
            "2026-03-07T02:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00",
        ]  # fmt: skip

    def test_a_table_for_people(self, scheduler: Command) -> None:
        lines = scheduler("cron", "preview", *GAP).out.splitlines()
        assert lines[0].split() == ["local", "UTC", "when"]
        assert lines[2].startswith("Sun 2026-03-08 03:00:00-04:00  2026-03-08 07:00:00  ")

    def test_the_window_begins_with_after_and_ends_before_until(self, scheduler: Command) -> None:
        window = ("--after", "2026-01-01T00:00Z", "--until", "2026-01-01T09:02+09:00")
        ticks = json.loads(scheduler("cron", "preview", "* * * * *", *window, "--json").out)
        assert [tick["utc"] for tick in ticks] == ["2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"]

    def test_every_counts_from_after(self, scheduler: Command) -> None:
        found = scheduler("cron", "preview", "@every 90s", "--after", "2026-01-01T00:00:07", "--count", "2", "--json")
        assert [tick["utc"][11:19] for tick in json.loads(found.out)] == ["00:00:07", "00:01:37"]

    def test_ten_without_an_end(self, scheduler: Command) -> None:
        code, out, err = scheduler("cron", "preview", "@daily", "--json")
        assert (code, len(json.loads(out)), err) == (0, 10, "")

    def test_a_long_window_is_cut_and_says_so(self, scheduler: Command) -> None:
        window = ("--after", "2026-01-01", "--until", "2027-01-01")
        code, out, err = scheduler("cron", "preview", "* * * * *", *window, "--json")
        assert (code, len(json.loads(out))) == (0, 10_000)
        assert "first 10,000 ticks" in err
        code, out, err = scheduler("cron", "preview", "* * * * *", *window, "--json", "--count", "10001")
        assert (code, len(json.loads(out)), err) == (0, 10_001, "")

    def test_no_tick(self, scheduler: Command) -> None:
        window = ("--after", "2026-01-02", "--until", "2026-01-03")
        assert tuple(scheduler("cron", "preview", "@yearly", *window)) == (0, "", "No tick falls into that time.\n")
        assert scheduler("cron", "preview", "@yearly", *window, "--json").out == "[]\n"

    def test_nor_in_a_window_of_no_length(self, scheduler: Command) -> None:
        window = ("--after", "2026-01-01", "--until", "2026-01-01")
        assert scheduler("cron", "preview", "@daily", *window, "--json").out == "[]\n"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["61 * * * *"], "error: The minute field '61' is out of range"),
            (["@daily", "--tz", "Asia/Seul"], "Did you mean 'Asia/Seoul'?"),
            (["@daily", "--after", "tomorrow"], "'tomorrow' is not a time: write ISO 8601"),
            (["@daily", *BACKWARDS], "--until: 2026-01-01 is before --after, which is 2026-01-02: write a later one"),
            (["@daily", "--until", "2026-01-01"], "2026-01-01 is before --after, which is now: write a later one"),
            (["0", "3", "*", "*", "*"], UNQUOTED),
        ],
    )
    def test_what_is_wrong_is_said(self, scheduler: Command, arguments: list[str], said: str) -> None:
        code, out, err = scheduler("cron", "preview", *arguments)
        assert (code, out) == (2, "")
        assert said in err


class TestAdd:
    def test_the_row_holds_what_was_given(self, online: Command, sql: Sql) -> None:
        options = ["--tz", "Europe/Berlin", "--params", '{"to": "a"}', "--queue", "mail", "--priority", "-3"]
        options += ["--timeout", "7.5", "--max-retry", "5", "--overlap", "queue", "--catch-up", "all"]
        options += ["--jitter", "20", "--description", "why"]
        code, out, _ = online("cron", "add", "nightly", "30 2 * * *", "email", *options)
        assert code == 0
        assert "Added cron job 'nightly'" in out
        assert out.count(" 02:30:00+") == 3
        asked = (
            "SELECT name, cron_expression, handler_name, timezone, handler_params::text, queue, priority FROM cron_jobs"
        )
        assert sql(asked) == [("nightly", "30 2 * * *", "email", "Europe/Berlin", '{"to": "a"}', "mail", -3)]
        asked = (
            "SELECT timeout_seconds, max_retry, overlap_policy, catch_up, jitter_seconds, description FROM cron_jobs"
        )
        assert sql(asked) == [(7.5, 5, "queue", "all", 20, "why")]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["61 * * * *", "email"], "The minute field '61' is out of range"),
            (["0 0 30 2 *", "email"], "would never fire"),
            (["@daily", "email", "--tz", "Europe/Berlim"], "Did you mean 'Europe/Berlin'?"),
            (["@daily", "email", "--params", '{"to": '], "error: --params: "),
            (["@daily", "email", "--timeout", "-1"], "timeout_seconds must be more than 0"),
            (["@daily", ""], "handler_name must have from 1"),
            (["0", "3", "*", "*", "*", "email"], UNQUOTED),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_is_added(
        self, online: Command, sql: Sql, arguments: list[str], said: str
    ) -> None:
        code, out, err = online("cron", "add", "nightly", *arguments)
        assert (code, out) == (2, "")
        assert said in err
        assert sql("SELECT name FROM cron_jobs") == []

    def test_a_name_that_is_taken(self, online: Command) -> None:
        online("cron", "add", "nightly", "@daily", "email")
        code, out, err = online("cron", "add", "nightly", "@hourly", "email")
        assert (code, out) == (1, "")
        assert err.startswith("error: A cron job named 'nightly' is already there")

    def test_a_handler_that_is_not_known_here_is_only_a_warning(self, online: Command) -> None:
        code, out, err = online("cron", "add", "nightly", "@daily", "emial")
        assert code == 0
        assert "Added cron job" in out
        assert "warning: No handler of this project is named 'emial'. Did you mean 'email'?" in err

    def test_handlers_that_cannot_be_found_are_no_obstacle(self, online: Command, folder: Path) -> None:
        (folder / "handlers" / "broken.py").write_text("import nothing_of_that_name")
        code, _, err = online("cron", "add", "nightly", "@daily", "emial")
        assert (code, "warning" in err) == (0, False)


class TestList:
    def test_none_yet(self, online: Command) -> None:
        code, out, err = online("cron", "list")
        assert (code, out) == (0, "")
        assert "scheduler cron add --help" in err
        assert online("cron", "list", "--json").out == "[]\n"

    def test_each_in_its_state(self, online: Command, sql: Sql) -> None:
        sql(
            "INSERT INTO cron_jobs (id, name, cron_expression, handler_name, enabled) VALUES"
            " (1, 'a', '@daily', 'email', true), (2, 'b', '@daily', 'email', false), (3, 'c', '@daily', 'email', true)"
        )
        sql("UPDATE cron_jobs SET invalid_reason = 'no such minute' WHERE name = 'c'")
        sql(
            "INSERT INTO job_executions (cron_job_id, handler_name, status, scheduled_at, finished_at)"
            " SELECT 1, 'email', 'FAILED', job_now() - n * interval '1 h', job_now() FROM generate_series(1, 2) n"
        )
        a, b, c = online("cron", "list").table()
        assert (a["name"], a["schedule"], a["zone"], a["handler"]) == ("a", "@daily", "UTC", "email")
        assert (a["next"][:3], a["last"], a["streak"], a["state"]) == ("in ", "FAILED", "2", "enabled")
        assert (b["next"], b["last"], b["streak"], b["state"]) == ("", "", "", "paused")
        assert (c["next"], c["state"], c["reason"]) == ("", "invalid", "no such minute")

    def test_json(self, online: Command) -> None:
        online("cron", "add", "nightly", "0 3 * * *", "email", "--tz", "Asia/Seoul")
        (row,) = json.loads(online("cron", "list", "--json").out)
        assert (row["name"], row["timezone"], row["enabled"], row["last_status"]) == (
            "nightly",
            "Asia/Seoul",
            True,
            None,
        )
        assert row["next_run_at"].endswith("T18:00:00+00:00")

    def test_a_name_cannot_steer_the_terminal(self, online: Command, sql: Sql) -> None:
        sql("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES (E'a\\x1b[2J\\nb', '@daily', 'email')")
        out = online("cron", "list").out
        assert "\x1b" not in out
        assert "a\ufffd[2J b" in out


class TestCommandLines:
    """What is printed to be copied does what it says."""

    INSERT = (
        "INSERT INTO cron_jobs (name, cron_expression, timezone, handler_name, handler_params, description, queue,"
        " priority, timeout_seconds, max_retry, retry_backoff, retry_delay_seconds, overlap_policy, catch_up,"
        " catch_up_limit, jitter_seconds, starts_at, ends_at, enabled) VALUES "
    )
    EVERYTHING = (
        """'0 3 * * *', 'Asia/Seoul', 'email', '{"to": "ada''s $HOME"}', E'-two\\nlines "and" `more`', 'mail', -3,"""
        " 0.1, 0, 'fixed', 1.5, 'queue', 'all', 5, 2.25, '2026-01-01 00:00:00.25Z', '2090-05-01', false"
    )
    ALL_BUT = "SELECT to_jsonb(c) - '{id,created_at,updated_at,planned_until}'::text[] FROM cron_jobs c"

    @pytest.mark.parametrize("name", ["plain", "every night", "-odd", "it's", "주소"])
    def test_a_removed_one_comes_back(self, online: Command, sql: Sql, name: str) -> None:
        quoted = name.replace("'", "''")
        sql(f"{self.INSERT} ('{quoted}', {self.EVERYTHING})")
        before = sql(self.ALL_BUT)
        (removed,) = json.loads(online("cron", "remove", "--json", "--", name).out)
        assert sql(self.ALL_BUT) == []
        assert online(*shlex.split(removed["undo"])[1:]).code == 0
        assert sql(self.ALL_BUT) == before

    def test_an_interval_keeps_its_phase(self, online: Command, sql: Sql) -> None:
        sql("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('a', '@every 90s', 'email')")
        (anchor,) = sql("SELECT created_at FROM cron_jobs")
        (removed,) = json.loads(online("cron", "remove", "a", "--json").out)
        online(*shlex.split(removed["undo"])[1:])
        assert sql("SELECT starts_at FROM cron_jobs") == [anchor]

    def test_a_taken_name_names_the_edit_that_makes_it_so(self, online: Command, sql: Sql) -> None:
        sql(f"{self.INSERT} ('taken', {self.EVERYTHING})")
        wanted = ("taken", "@hourly", "shout", "--priority", "-1", "--timeout", "3")
        _, _, err = online("cron", "add", *wanted)
        assert online(*shlex.split(err.splitlines()[-1])[1:]).code == 0
        assert "just like this one" in online("cron", "add", *wanted).err
