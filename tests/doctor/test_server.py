"""The server, and the way to it: what is told of poolers, rights, clocks and vacuum."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine
from psycopg import sql as psql

from scheduler.operations.doctor import Code, Level, Place, clocks, server, vacuum
from scheduler.operations.doctor.bench import Bench
from scheduler.store.guarded import GuardedSession
from scheduler.testing.postgres import ThrowawayPostgres
from tests.doctor.conftest import Doctor, Sql
from tests.doctor.pooler import Pooler


class TestPoolers:
    def test_none(self, doctor: Doctor) -> None:
        assert not doctor.bad(Code.POOLER)

    def test_one_that_keeps_sessions(self, doctor: Doctor, place: Place) -> None:
        with Pooler(place.conninfo, "session") as pooler:
            patient = doctor.given(job=at(place, pooler.url))
            (finding,) = (each for each in patient.findings() if each.code is Code.POOLER)
        assert finding.level is Level.FINE
        assert "each client keeps its session" in finding.says

    def test_one_in_transaction_mode_asks_for_a_direct_url(self, doctor: Doctor, place: Place) -> None:
        with Pooler(place.conninfo, "transaction") as pooler:
            patient = doctor.given(job=at(place, pooler.url))
            finding = patient.only(Code.POOLER)
            assert "LISTEN does not work through it" in finding.says
            assert "databases.default.direct_url" in (finding.fix or "")
            cured = patient.given(direct_conninfo=place.conninfo)
            assert not cured.bad(Code.POOLER)
            assert not cured.bad(Code.DIRECT_URL)

    def test_a_direct_url_through_another_pooler(self, doctor: Doctor, place: Place) -> None:
        with Pooler(place.conninfo, "session") as pooler:
            patient = doctor.given(direct_conninfo=pooler.url)
            assert "leads through a pooler as well" in patient.only(Code.DIRECT_URL).says

    def test_a_direct_url_to_elsewhere(self, doctor: Doctor, postgres_server: ThrowawayPostgres) -> None:
        patient = doctor.given(direct_conninfo=postgres_server.url("postgres"))
        assert patient.only(Code.DIRECT_URL).level is Level.ERROR
        patient = doctor.given(direct_conninfo=postgres_server.url("nowhere"))
        assert 'the server has no database "nowhere"' in patient.only(Code.DIRECT_URL).says


class TestClocks:
    @pytest.mark.parametrize(
        ("shift", "level", "said"),
        [
            (4, Level.WARNING, "ahead of"),
            (-4, Level.WARNING, "behind"),
            (60, Level.ERROR, "ahead of"),
        ],
    )
    def test_a_host_that_goes_wrong(self, doctor: Doctor, shift: int, level: Level, said: str) -> None:
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=shift)):
            finding = doctor.only(Code.CLOCK)
        assert finding.level is level
        assert said in finding.says
        measured = re.search(r"([\d.]+) s", finding.says)
        assert measured is not None
        assert float(measured[1]) == pytest.approx(abs(shift), abs=1.5)

    def test_rows_planned_with_other_data(self, doctor: Doctor, sql: Sql) -> None:
        sql("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('a', '@daily', 'email')")
        sql("UPDATE cron_jobs SET tzdata_version = '2019a'")
        assert "1 cron job with 2019a" in doctor.only(Code.TZDATA).says

    def test_data_that_is_years_old(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clocks, "tzdata_version", lambda: "2020f")
        assert "The time zone data here is 2020f" in doctor.only(Code.TZDATA).says

    def test_a_zone_that_the_server_does_not_know(self, doctor: Doctor, sql: Sql) -> None:
        sql(
            "INSERT INTO cron_jobs (name, cron_expression, handler_name, timezone)"
            " VALUES ('a', '@daily', 'email', 'Mars/Olympus'), ('b', '@daily', 'email', 'Asia/Seoul')"
        )
        assert "lacks Mars/Olympus (cron job 'a')." in doctor.only(Code.ZONES).says


class TestVacuum:
    def test_autovacuum_off(self, doctor: Doctor, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
        """The server of the tests has none, which is the first case."""
        assert doctor.only(Code.AUTOVACUUM).level is Level.ERROR
        sql("ALTER TABLE job_workers SET (autovacuum_enabled = false)")
        monkeypatch.setattr(
            Bench, "server", {"autovacuum": True, "track_counts": True, "sees_sessions": True, "role": "r"}
        )
        finding = doctor.only(Code.AUTOVACUUM)
        assert finding.says == "Autovacuum is off for job_workers."
        for statement in finding.sql:
            sql(statement)
        assert not doctor.bad(Code.AUTOVACUUM)

    def test_dead_rows(self, doctor: Doctor, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vacuum, "_MANY_DEAD", 10)
        sql("INSERT INTO job_queues (name) SELECT 'q' || n FROM generate_series(1, 20) AS n")
        sql("UPDATE job_queues SET paused = true")
        sql("SELECT pg_stat_force_next_flush()")
        finding = doctor.only(Code.DEAD_ROWS)
        assert "job_queues holds 20 dead rows beside 20 live ones; never vacuumed." in finding.says
        for statement in finding.sql:
            sql(statement)
        sql("SELECT pg_stat_force_next_flush()")
        assert not doctor.bad(Code.DEAD_ROWS)

    def test_a_session_that_is_idle_in_a_transaction(
        self, doctor: Doctor, migrated_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vacuum, "_IDLE_SECONDS", 0)
        with psycopg.connect(migrated_url, application_name="forgotten") as idle:
            idle.execute("UPDATE job_queues SET paused = false")
            idle.execute("SELECT pg_current_xact_id()")
            finding = doctor.only(Code.OLDEST_TRANSACTION)
            who = f"forgotten (role postgres, pid {idle.info.backend_pid})"
            assert f"{who} has been idle in a transaction" in finding.says
            assert "vacuum may not remove" in finding.says
            (cure,) = finding.sql
            assert sql(cure) == [(True,)]
            sql("SELECT pg_terminate_backend(%s, 5000)", idle.info.backend_pid)  # wait until it is gone
            idle.close()
        assert not doctor.bad(Code.OLDEST_TRANSACTION)

    @pytest.mark.parametrize(("age", "level"), [(1_200_000_000, Level.WARNING), (1_900_000_000, Level.ERROR)])
    def test_transaction_ids_that_run_out(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, age: int, level: Level
    ) -> None:
        asked = Bench.one

        def aged(bench: Bench, statement: str, **values: object) -> dict[str, object]:
            return {"xids": age, "multixacts": 0} if statement == "doctor_ages" else asked(bench, statement, **values)

        monkeypatch.setattr(Bench, "one", aged)
        assert doctor.only(Code.TRANSACTION_IDS).level is level


class TestRights:
    def test_a_role_that_may_only_look(self, doctor: Doctor, place: Place, role: str, sql: Sql) -> None:
        patient = doctor.given(job=at(place, f"{place.conninfo}&options=-c%20role%3D{role}"))
        sql("REVOKE ALL ON SCHEMA public FROM public")
        finding = patient.only(Code.SCHEMA_RIGHTS)
        assert finding.level is Level.ERROR
        assert "grant it USAGE on the schema and SELECT on the tables" in finding.says
        sql(f"GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        finding = patient.only(Code.SCHEMA_RIGHTS)
        assert finding.level is Level.WARNING
        assert "it lacks UPDATE on cron_jobs, INSERT on job_executions" in finding.says
        assert patient.only(Code.OLDEST_TRANSACTION).sql == [f'GRANT pg_read_all_stats TO "{role}";']
        assert not patient.bad(Code.CHECK_FAILED)

    def test_what_it_may_not_read_is_named_once(self, doctor: Doctor, place: Place, role: str, sql: Sql) -> None:
        sql(f"GRANT SELECT ON scheduler_version, job_workers, job_executions TO {role}")
        patient = doctor.given(job=at(place, f"{place.conninfo}&options=-c%20role%3D{role}"))
        (finding,) = (each for each in patient.bad(Code.SCHEMA_RIGHTS) if each.level is Level.UNCHECKED)
        denied = "time zone data, zones, prepared transactions, decisions in doubt, queues, late cron"
        assert f'for role "{role}" may not read what it needs: {denied}' in finding.says
        assert not patient.bad(Code.CHECK_FAILED)

    def test_tables_that_somebody_changed(self, doctor: Doctor, sql: Sql) -> None:
        sql("ALTER TABLE job_queues RENAME COLUMN paused_reason TO why")
        assert "are not those of this version" in doctor.only(Code.CHECK_FAILED).says


class TestConnections:
    def test_nearly_none_left(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_NEARLY_FULL", 0.0)
        assert doctor.only(Code.CONNECTIONS).level is Level.WARNING
        monkeypatch.setattr(server, "_FULL", 0.0)
        finding = doctor.only(Code.CONNECTIONS)
        assert finding.level is Level.ERROR
        assert finding.sql[0].endswith("ORDER BY 3 DESC;")

    def test_more_than_the_server_has_could_be_opened(self, doctor: Doctor, place: Place) -> None:
        patient = doctor.given(job=Place("default", place.conninfo, pool_size=500, two_phase=True))
        assert "1 process of this project could open 1007" in patient.only(Code.CONNECTIONS).says

    def test_notifications_that_nobody_reads(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_NOTIFICATIONS", 0.0)
        assert "0% full" in doctor.only(Code.NOTIFICATIONS).says


class TestChecksThatFail:
    @pytest.mark.parametrize(("table", "check"), [("job_queues", "queues"), ("scheduler_version", "revision")])
    def test_one_that_takes_too_long_is_a_finding(
        self, doctor: Doctor, connection: psycopg.Connection, table: str, check: str
    ) -> None:
        with locked(connection, table):
            finding = doctor.only(Code.CHECK_FAILED)
        assert finding.level is Level.WARNING
        assert finding.says.startswith(f"The check of {check} failed: ")
        assert "lock timeout" in finding.says

    def test_one_with_a_fault_is_a_finding(self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vacuum, "_OLD", "many")
        says = doctor.only(Code.CHECK_FAILED).says
        assert says.startswith("The check of transaction ids failed, by a fault of its own: TypeError: ")

    def test_nothing_can_be_written(self, migrated_url: str) -> None:
        session = GuardedSession(migrated_url, "public", "test")
        try:
            with session.transaction() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("INSERT INTO job_queues (name) VALUES ('q')")
        finally:
            session.close()

    def test_without_tables_the_rest_goes_on(self, doctor: Doctor, database_url: str) -> None:
        findings = doctor.given(job=Place("default", database_url, 10, two_phase=True)).findings()
        assert [each.code for each in findings if each.level is Level.ERROR] == [Code.SCHEMA_REVISION, Code.AUTOVACUUM]
        assert findings[-1].says == ("Not examined, for it needs tables of this version: workers, work, cron jobs.")


def at(place: Place, url: str, *, two_phase: bool = True) -> Place:
    return Place(place.name, url, place.pool_size, two_phase)


@contextmanager
def locked(connection: psycopg.Connection, table: str) -> Iterator[None]:
    with connection.transaction():
        connection.execute(psql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(psql.Identifier(table)))
        yield
