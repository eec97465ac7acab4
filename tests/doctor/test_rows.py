"""Workers, work and cron jobs that are ill: each finding names its row, and the SQL that it shows is the cure."""

import shlex

import pytest
from psycopg.types.json import Jsonb

from scheduler.errors import HandlerNotFoundError
from scheduler.operations.doctor import Code, Finding, Level
from tests.doctor.conftest import Doctor, Sql

WORKER = "SELECT register_worker('host:1', '{default,mail}', 4, lease_seconds => 60)"
WAITING = (
    "INSERT INTO job_executions (handler_name, queue, available_at) VALUES ('email', %s, job_now() - %s::interval)"
)
CRON_JOB = "INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES (%s, %s, 'email')"


def running(sql: Sql, worker: object, *, timeout: int = 300, since: str = "1 min") -> None:
    sql(
        "INSERT INTO job_executions (handler_name, status, claimed_by, claim_token, started_at, timeout_seconds)"
        " VALUES ('email', 'RUNNING', %s, gen_random_uuid(), job_now() - %s::interval, %s)",
        worker, since, timeout,
    )  # fmt: skip


class TestWorkers:
    def test_one_that_lives(self, doctor: Doctor, sql: Sql) -> None:
        assert doctor.only(Code.WORKERS).level is Level.WARNING
        sql(WORKER)
        assert not doctor.bad(Code.WORKERS)
        assert any("1 worker alive: host:1" in each.says for each in doctor.findings())

    def test_one_that_was_lost(self, doctor: Doctor, sql: Sql) -> None:
        sql(WORKER)
        sql("UPDATE job_workers SET status = 'LOST', heartbeat_at = job_now() - interval '3 h'")
        assert "host:1 (last heard of 3 h ago)" in doctor.only(Code.WORKERS_LOST).says
        sql("UPDATE job_workers SET heartbeat_at = job_now() - interval '2 d'")
        assert not doctor.bad(Code.WORKERS_LOST)

    def test_one_that_is_silent_and_that_nobody_marked(self, doctor: Doctor, sql: Sql) -> None:
        sql(WORKER)
        sql(
            "UPDATE job_workers"
            " SET heartbeat_at = job_now() - interval '10 min', lease_until = job_now() - interval '9 min'"
        )
        finding = doctor.only(Code.WORKERS_SILENT)
        assert finding.level is Level.ERROR
        assert "10 min ago" in finding.says

    def test_one_that_drains_for_long(self, doctor: Doctor, sql: Sql) -> None:
        ((worker,),) = sql(WORKER)
        running(sql, worker, timeout=9000, since="40 min")
        sql("UPDATE job_workers SET status = 'DRAINING', running_count = 1")
        says = doctor.only(Code.WORKERS_DRAINING).says
        assert "host:1 is shutting down and still holds 1 execution, the newest of them for 40 min" in says

    def test_one_that_is_partly_stalled(self, doctor: Doctor, sql: Sql) -> None:
        sql(WORKER)
        young = '{"claim": {"age": 14, "limit": 15}, "pulse": {"age": 0, "limit": 10.5}}'
        sql("UPDATE job_workers SET loops = %s", young)
        assert not doctor.bad(Code.LOOP_STALLED)
        old = {"claim": {"age": 40, "limit": 15}, "settle": {"age": 7200, "limit": 15}, "watch": {"age": 0, "limit": 9}}
        sql("UPDATE job_workers SET loops = %s", Jsonb(old))
        finding = doctor.only(Code.LOOP_STALLED)
        assert finding.level is Level.WARNING
        assert "1 worker alive and partly stalled: host:1 (settle for 2 h, claim for 40 s)." in finding.says

    @pytest.mark.parametrize(
        "told",
        ["null", "7", "[[]]", '{"a": 1}', '{"a": {"age": "b", "limit": "a"}}', '{"a": {"age": 1e400, "limit": 1}}'],
    )
    def test_loops_that_nobody_can_read_hide_nothing(self, doctor: Doctor, sql: Sql, told: str) -> None:
        sql(WORKER)
        sql("UPDATE job_workers SET loops = %s", told)
        assert not doctor.bad(Code.CHECK_FAILED)
        assert not doctor.bad(Code.LOOP_STALLED)
        assert sql("SELECT stalled FROM job_worker_status") == [({},)]

    def test_two_versions(self, doctor: Doctor, sql: Sql) -> None:
        sql("SELECT register_worker('a', version => '0.1.0', lease_seconds => 60)")
        sql("SELECT register_worker('b', version => '0.2.0', lease_seconds => 60)")
        assert "0.1.0, 0.2.0" in doctor.only(Code.WORKERS_VERSIONS).says

    @pytest.mark.parametrize("column", ["heartbeat_at", "lease_until", "started_at"])
    @pytest.mark.parametrize("time", ["infinity", "-infinity"])
    def test_a_row_with_a_time_that_cannot_be_hides_nothing(
        self, doctor: Doctor, sql: Sql, column: str, time: str
    ) -> None:
        sql(WORKER)
        sql(f"UPDATE job_workers SET {column} = '{time}'")
        assert not doctor.bad(Code.CHECK_FAILED)


class TestWork:
    @pytest.mark.parametrize("status", ["LOST", "STOPPED", "ACTIVE", None])
    def test_running_under_a_worker_that_is_gone(self, doctor: Doctor, sql: Sql, status: str | None) -> None:
        ((worker,),) = sql(WORKER)
        running(sql, worker, since="5 min")
        assert not doctor.bad(Code.RUNNING_ABANDONED)
        if status is None:
            sql("DELETE FROM job_workers")
        else:
            past = "job_now() - interval '2 min'"
            sql(f"UPDATE job_workers SET status = '{status}', heartbeat_at = {past}, lease_until = {past}")
        assert "1 (email, for 5 min)" in doctor.only(Code.RUNNING_ABANDONED).says

    def test_running_past_its_timeout(self, doctor: Doctor, sql: Sql) -> None:
        ((worker,),) = sql(WORKER)
        running(sql, worker, timeout=60, since="10 min")
        assert "1 (email, by 9 min), at host:1" in doctor.only(Code.RUNNING_OVERDUE).says

    def test_waiting_in_a_queue_that_nobody_serves(self, doctor: Doctor, sql: Sql) -> None:
        sql(WORKER)
        sql(WAITING, "mial", "2 h")
        finding = doctor.only(Code.QUEUE_UNSERVED)
        assert finding.level is Level.ERROR
        assert "the queue 'mial' for 2 h" in finding.says
        assert "Did you mean 'mail'?" in finding.says
        assert "SCHEDULER_WORKER__QUEUES=mial" in (finding.fix or "")

    def test_waiting_under_a_key_counts_where_nobody_serves(self, doctor: Doctor, sql: Sql) -> None:
        sql(WORKER)
        sql(WAITING, "lonely", "2 h")
        sql("UPDATE job_executions SET concurrency_key = 'k', priority = -9")
        assert "'lonely' for 2 h" in doctor.only(Code.QUEUE_UNSERVED).says

    def test_waiting_for_long_in_a_queue_that_is_served(self, doctor: Doctor, sql: Sql) -> None:
        sql(WORKER)
        sql(WAITING, "mail", "20 min")
        assert "'mail' for 20 min: its workers don't keep up" in doctor.only(Code.QUEUE_BACKLOG).says
        sql("UPDATE job_executions SET concurrency_key = 'k'")
        assert not doctor.bad(Code.QUEUE_BACKLOG)

    @pytest.mark.parametrize("queue", ["$(touch x)", "two words", "it's;"])
    def test_a_command_line_that_it_shows_is_safe_to_type(self, doctor: Doctor, sql: Sql, queue: str) -> None:
        sql(WAITING, queue, "2 h")
        assert self.words(doctor.only(Code.QUEUE_UNSERVED)) == [f"SCHEDULER_WORKER__QUEUES={queue}", "scheduler", "run"]
        sql("SELECT pause_queue(%s)", queue)
        assert self.words(doctor.only(Code.QUEUE_PAUSED)) == ["scheduler", "queues", "resume", queue]

    @staticmethod
    def words(finding: Finding) -> list[str]:
        """As a shell reads them: the first command line of the cure."""
        _, line, _ = (finding.fix or "").split("`")
        return shlex.split(line)

    def test_what_is_delayed_does_not_wait(self, doctor: Doctor, sql: Sql) -> None:
        sql(WAITING, "later", "-1 h")
        assert not doctor.bad(Code.QUEUE_UNSERVED)

    def test_a_pause_that_was_forgotten(self, doctor: Doctor, sql: Sql) -> None:
        sql("SELECT pause_queue('mail', 'smtp is down')")
        assert not doctor.bad(Code.QUEUE_PAUSED)
        assert any("'mail' is paused (smtp is down)." in each.says for each in doctor.findings())
        sql(WAITING, "mail", "3 h")
        finding = doctor.only(Code.QUEUE_PAUSED)
        assert "waiting in it for 3 h" in finding.says
        for statement in finding.sql:
            sql(statement)
        assert not doctor.bad(Code.QUEUE_PAUSED)

    def test_a_limit_that_is_reached_for_long(self, doctor: Doctor, sql: Sql) -> None:
        ((worker,),) = sql(WORKER)
        limits = {"max_running": 1, "max_pending": 1, "rate_limit": 5, "rate_period_seconds": 60}
        sql("SELECT limit_queue('default', %s)", Jsonb(limits))
        running(sql, worker)
        sql(WAITING, "default", "5 min")
        assert not doctor.bad(Code.QUEUE_LIMITED)
        sql(WAITING, "default", "3 h")
        finding = doctor.only(Code.QUEUE_LIMITED)
        assert "'default' is at its limits (max_running 1, max_pending 1), and work has been waiting in it for 3 h" in (
            finding.says
        )
        assert "`scheduler queues limit default --max-running … --max-pending …`" in (finding.fix or "")
        assert not doctor.bad(Code.QUEUE_BACKLOG)
        sql("SELECT limit_queue('default', '{\"max_running\": 2, \"max_pending\": 3}')")
        assert not doctor.bad(Code.QUEUE_LIMITED)
        assert doctor.bad(Code.QUEUE_BACKLOG)


class TestCronJobs:
    def test_a_pause_whose_end_nobody_saw(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "nightly", "@daily")
        sql("SELECT pause_cron_job('nightly', E'the source\nis down', job_now() + interval '1 h')")
        assert not doctor.bad(Code.CRON_PAUSED)
        assert any(
            "1 cron job paused: 'nightly' (the source is down) until 2" in each.says for each in doctor.findings()
        )
        sql("ALTER TABLE cron_jobs DISABLE TRIGGER USER")
        sql("UPDATE cron_jobs SET resume_at = job_now() - interval '3 h'")
        assert "'nightly' was to resume 3 h ago" in doctor.only(Code.CRON_PAUSED).says

    def test_a_pause_without_an_end_that_was_forgotten(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "it's", "@daily")
        sql("SELECT pause_cron_job('it''s')")
        sql("ALTER TABLE cron_jobs DISABLE TRIGGER USER")
        sql("UPDATE cron_jobs SET updated_at = job_now() - interval '9 d'")
        assert not doctor.bad(Code.CRON_PAUSED)
        sql("UPDATE cron_jobs SET paused_reason = 'smtp is down'")
        sql("ALTER TABLE cron_jobs ENABLE TRIGGER USER")
        finding = doctor.only(Code.CRON_PAUSED)
        assert "is paused (smtp is down) for 9 d, without an end" in finding.says
        for statement in finding.sql:
            sql(statement)
        assert not doctor.bad(Code.CRON_PAUSED)

    def test_late_and_nobody_plans(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "nightly", "@daily")
        assert not doctor.bad(Code.CRON_LATE)
        sql("UPDATE cron_jobs SET next_run_at = job_now() - interval '3 h', planned_until = job_now() - interval '1 d'")
        assert doctor.only(Code.CRON_LATE).says == (
            "1 of 1 enabled cron job is late, 'nightly' by 3 h. Nobody is alive to plan."
        )
        sql(WORKER)
        assert "None of the live workers plans." in doctor.only(Code.CRON_LATE).says

    def test_refused_by_the_planner(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "it's", "61 * * * *")
        sql("UPDATE cron_jobs SET invalid_reason = 'The minute field ''61'' is out of range.'")
        finding = doctor.only(Code.CRON_INVALID)
        assert (
            finding.says == "Cron job \"it's\" (61 * * * *, UTC) is not planned: The minute field '61' is out of range."
        )
        (cure,) = finding.sql
        sql(cure.replace("'61 * * * *'", "'1 * * * *'"))
        assert not doctor.bad(Code.CRON_INVALID)

    def test_it_will_never_fire_again(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "over", "@daily")
        sql("UPDATE cron_jobs SET ends_at = job_now() - interval '1 d', planned_until = job_now()")
        sql("UPDATE cron_jobs SET next_run_at = 'infinity', planned_until = job_now() + interval '1 s'")
        finding = doctor.only(Code.CRON_NEVER)
        assert "its ends_at is past" in finding.says
        for statement in finding.sql:
            sql(statement)
        assert not doctor.bad(Code.CRON_NEVER)

    def test_a_skip_is_no_end(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "it's", "@daily")
        sql(
            "INSERT INTO job_executions (source, cron_job_id, handler_name, status, scheduled_at, finished_at,"
            " skipped_count, skipped_until)"
            " SELECT 'manual', id, 'email', 'SKIPPED', job_now(), job_now(), 9, '8000-01-01Z' FROM cron_jobs"
        )
        sql("UPDATE cron_jobs SET next_run_at = 'infinity', planned_until = '8000-01-01Z'")
        finding = doctor.only(Code.CRON_NEVER)
        assert "its ticks are skipped until 8000-01-01 00:00 UTC, and none comes after that" in finding.says
        assert "`scheduler cron skip 'it'\"'\"'s' --until now`" in (finding.fix or "")
        assert finding.sql == ()

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("starts_at", "1970-01-01", "it is 1970-01-01 00:00:00, which is long ago"),
            ("starts_at", "infinity", "it is infinity; NULL means"),
            ("starts_at", "20000-01-01", "it is 20000-01-01 00:00:00, more than ten years from now"),
            ("ends_at", "-infinity", "it is -infinity; NULL means"),
            ("ends_at", "9999-12-31", "more than ten years from now"),
        ],
    )
    def test_a_date_that_nobody_means(self, doctor: Doctor, sql: Sql, field: str, value: str, said: str) -> None:
        ((name,),) = sql("SELECT quote_ident(current_database())")
        sql(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'")
        sql(CRON_JOB, "nightly", "@daily")
        sql(
            f"UPDATE cron_jobs SET {field} = '{value} UTC'"
            if value[-1].isdigit()
            else f"UPDATE cron_jobs SET {field} = '{value}'"
        )
        finding = doctor.only(Code.CRON_DATES)
        assert f"has a {field} that nobody means" in finding.says
        assert said in finding.says
        for statement in finding.sql:
            sql(statement)
        assert not doctor.bad(Code.CRON_DATES)

    def test_an_end_before_the_start_and_a_tick_years_away(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "a", "@daily")
        sql("UPDATE cron_jobs SET starts_at = '2030-01-01', ends_at = '2029-01-01'")
        assert "not after starts_at" in doctor.only(Code.CRON_DATES).says
        sql("DELETE FROM cron_jobs")
        sql(CRON_JOB, "b", "0 0 29 2 1")
        sql(
            "UPDATE cron_jobs"
            " SET next_run_at = job_now() + interval '12 years', planned_until = job_now() + interval '1 s'"
        )
        assert "Cron job 'b' fires next at 2" in doctor.only(Code.CRON_DATES).says

    def test_three_failures_in_a_row(self, doctor: Doctor, sql: Sql) -> None:
        sql(CRON_JOB, "nightly", "@daily")
        sql("UPDATE cron_jobs SET last_run_at = job_now()")
        failed = (
            "INSERT INTO job_executions (cron_job_id, handler_name, status, scheduled_at, finished_at, error)"
            " SELECT (SELECT id FROM cron_jobs), 'email', %s, job_now() - n * interval '1 h', job_now(),"
            " 'no paper\nline 2'"
            " FROM generate_series(%s::int, %s::int) AS n"
        )
        sql(failed, "FAILED", 1, 2)
        sql(failed, "SKIPPED", 3, 3)
        sql(failed, "SUCCESS", 4, 4)
        assert not doctor.bad(Code.CRON_FAILING)
        sql("DELETE FROM job_executions WHERE status = 'SUCCESS'")
        sql(failed, "TIMEOUT", 5, 5)
        finding = doctor.only(Code.CRON_FAILING)
        assert finding.says == "The last three executions of cron job 'nightly' failed: no paper."
        assert "scheduler jobs show 1`" in (finding.fix or "")


class TestHandlers:
    def test_a_cron_job_that_names_none(self, doctor: Doctor, sql: Sql) -> None:
        for name in ("a", "b"):
            sql("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES (%s, '@daily', 'emial')", name)
        finding = doctor.only(Code.UNKNOWN_HANDLERS)
        assert "Cron job 'a' and 1 more name the handler 'emial'" in finding.says
        assert "Did you mean 'email'?" in finding.says
        for statement in finding.sql:
            sql(statement)
        assert not doctor.bad(Code.UNKNOWN_HANDLERS)

    def test_executions_that_wait_or_failed_for_it(self, doctor: Doctor, sql: Sql) -> None:
        sql("SELECT enqueue_job('wait'), enqueue_job('wait', concurrency_key => 'k')")
        failed = (
            "INSERT INTO job_executions (handler_name, status, finished_at, error) VALUES (%s, 'FAILED', now(), %s)"
        )
        for name in ("gone", "it's"):
            sql(failed, name, str(HandlerNotFoundError(name, ["email"])))
        sql(failed, "other", f"ValueError: {HandlerNotFoundError('other', [])}")
        waiting, gone, quoted = doctor.bad(Code.UNKNOWN_HANDLERS)
        assert waiting.says.startswith("2 executions wait for the handler 'wait'")
        assert gone.says.startswith("1 execution failed for want of the handler 'gone'")
        assert quoted.says.startswith('1 execution failed for want of the handler "it\'s"')

    def test_nobody_knows_without_the_handlers(self, doctor: Doctor) -> None:
        assert doctor.given(handlers=None).only(Code.UNKNOWN_HANDLERS).level is Level.UNCHECKED


def test_a_healthy_database_has_nothing_to_say_about_rows(doctor: Doctor, sql: Sql) -> None:
    sql(WORKER)
    sql(CRON_JOB, "nightly", "@daily")
    bad = [finding for finding in doctor.findings() if finding.level is not Level.FINE]
    assert {finding.code for finding in bad} <= {Code.AUTOVACUUM}  # off on the server of the tests
