"""Two-phase commit: what is told of servers that can't prepare, and of what was prepared or decided and not settled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql as psql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from scheduler.database import decisions
from scheduler.operations.doctor import Code, Level, Place, transactions
from scheduler.operations.doctor.finding import literal
from scheduler.store.migration import migrate
from scheduler.testing.postgres import ThrowawayPostgres
from tests.cli.conftest import Command, Ran, folder, scheduler
from tests.cli.test_process import command
from tests.doctor.conftest import Doctor, Sql

__all__ = ["folder", "scheduler"]

PREPARED = (Code.PREPARED_ORPHANS, Code.PREPARED_ROLE, Code.PREPARED_FOREIGN, Code.IN_DOUBT)
HANDLER = """
from scheduler import handler

@handler("carry", transactional=["default", "business"])
async def carry() -> None: ...
"""


@pytest.fixture
def gid(sql: Sql) -> str:
    """The name of a transaction of this job database."""
    return decisions.new_gid(str(sql("SELECT id FROM job_installation")[0][0]))


@pytest.fixture
def foreign() -> str:
    """A name that somebody else gave; names are unique in all of the server, which other tests use as well."""
    return f"it's {uuid4()}"


@pytest.fixture
def business(database_url: str) -> Place:
    return Place("business", database_url, pool_size=10, two_phase=True)


@pytest.fixture
def patient(doctor: Doctor, business: Place) -> Doctor:
    """With a second database."""
    return doctor.given(others=[business])


@pytest.fixture
def after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_IN_DOUBT_SECONDS", 0)


@pytest.fixture
def after_minutes(monkeypatch: pytest.MonkeyPatch, after_a_minute: None) -> None:
    monkeypatch.setattr(transactions, "_ORPHANED_SECONDS", 0)


def prepare(url: str, gid: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS left_behind (id int)")
        connection.commit()
        connection.execute("INSERT INTO left_behind VALUES (1)")
        connection.execute(psql.SQL("PREPARE TRANSACTION {}").format(gid))


def type_in(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def decide(sql: Sql, gid: str, *participants: str) -> None:
    sql("INSERT INTO job_transactions (gid, decision, participants) VALUES (%s, 'COMMIT', %s)", gid, list(participants))


def effects(url: str) -> int:
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT FROM left_behind").fetchall())


def as_role(url: str, role: str) -> str:
    return make_conninfo(url, options=f"-c role={role}")


@pytest.mark.usefixtures("after_minutes")
class TestLeftBehind:
    @pytest.mark.parametrize(
        ("decision", "said", "verb", "effect"),
        [("COMMIT", "its decision is COMMIT", "COMMIT", 1), ("ABORT", "its decision is ABORT", "ROLLBACK", 0)],
    )
    def test_a_decided_one_is_to_be_carried_out(
        self, patient: Doctor, business: Place, sql: Sql, gid: str, decision: str, said: str, verb: str, effect: int
    ) -> None:
        part = decisions.part(gid, 1)
        prepare(business.conninfo, part)
        sql("INSERT INTO job_transactions (gid, decision, settled_at) VALUES (%s, %s, job_now())", gid, decision)

        finding = patient.only(Code.PREPARED_ORPHANS)

        assert (finding.level, finding.sql) == (Level.ERROR, [f"{verb} PREPARED '{part}';"])
        assert said in finding.says
        database = conninfo_to_dict(business.conninfo)["dbname"]
        assert f'By hand: in database "{database}", as role "postgres" or a superuser.' in (finding.fix or "")
        type_in(business.conninfo, *finding.sql)
        assert effects(business.conninfo) == effect
        assert not any(patient.bad(code) for code in PREPARED)

    def test_an_undecided_one_is_decided_first(
        self, patient: Doctor, business: Place, migrated_url: str, sql: Sql, gid: str
    ) -> None:
        part = decisions.part(gid, 1)
        prepare(business.conninfo, part)

        finding = patient.only(Code.PREPARED_ORPHANS)

        assert finding.level is Level.ERROR
        assert "nobody has decided what becomes of it" in finding.says
        assert "only if it adds a row, the rest in database" in (finding.fix or "")
        abort, end = finding.sql
        type_in(migrated_url, abort)
        assert sql("SELECT gid, decision FROM job_transactions") == [(gid, "ABORT")]
        type_in(business.conninfo, end)
        assert effects(business.conninfo) == 0
        assert not patient.bad(Code.PREPARED_ORPHANS)

    def test_what_another_role_has_prepared_is_out_of_the_resolvers_hands(
        self, patient: Doctor, business: Place, role: str, sql: Sql, gid: str
    ) -> None:
        part = decisions.part(gid, 1)
        prepare(business.conninfo, part)
        sql("INSERT INTO job_transactions (gid, decision, settled_at) VALUES (%s, 'COMMIT', job_now())", gid)
        lower = Place("business", as_role(business.conninfo, role), pool_size=10, two_phase=True)

        finding = patient.given(others=[lower]).only(Code.PREPARED_ROLE)

        assert finding.level is Level.ERROR
        assert (
            f'Role "{role}", as which the resolver looks there, may not end what "postgres" prepared.' in finding.says
        )
        assert finding.sql == ['SET ROLE "postgres";', f"COMMIT PREPARED '{part}';", "RESET ROLE;"]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            type_in(lower.conninfo, f"COMMIT PREPARED '{part}'")
        type_in(business.conninfo, *finding.sql)
        assert effects(business.conninfo) == 1
        assert not patient.given(others=[lower]).bad(Code.PREPARED_ROLE)

    def test_a_superuser_may_end_what_another_role_has_prepared(
        self, patient: Doctor, business: Place, role: str, gid: str
    ) -> None:
        type_in(business.conninfo, f'GRANT CREATE ON SCHEMA public TO "{role}"')
        prepare(as_role(business.conninfo, role), decisions.part(gid, 1))

        finding = patient.only(Code.PREPARED_ORPHANS)

        assert f'as role "{role}" or a superuser' in (finding.fix or "")
        type_in(business.conninfo, finding.sql[-1], f'DROP OWNED BY "{role}"')

    def test_that_of_another_installation_is_only_told(self, patient: Doctor, business: Place) -> None:
        theirs = decisions.new_gid("0b4ab7a5-9be5-4d5a-8b0c-b8d1f4f3c001")
        prepare(business.conninfo, decisions.part(theirs, 1))

        finding = patient.only(Code.PREPARED_FOREIGN)

        assert finding.level is Level.WARNING
        assert "by a scheduler whose tables are not in this job database" in finding.says
        assert finding.sql == [f"SELECT decision FROM job_transactions WHERE gid = '{theirs}';"]

    def test_that_of_somebody_else_is_only_told(self, patient: Doctor, business: Place, foreign: str) -> None:
        prepare(business.conninfo, foreign)

        finding = patient.only(Code.PREPARED_FOREIGN)

        assert finding.level is Level.WARNING
        assert "It is not the scheduler's, which never touches it." in finding.says
        assert finding.sql == [f"ROLLBACK PREPARED {literal(foreign)};"]
        type_in(business.conninfo, *finding.sql)
        assert not patient.bad(Code.PREPARED_FOREIGN)

    def test_without_tables_nobody_knows_which_are_ours(self, patient: Doctor, business: Place, gid: str) -> None:
        prepare(business.conninfo, decisions.part(gid, 1))
        bare = patient.given(job=Place("default", business.conninfo, pool_size=10, two_phase=True), others=[])
        assert "by a scheduler whose tables are not in this" in bare.only(Code.PREPARED_FOREIGN).says


class TestInDoubt:
    def test_what_is_minutes_old_is_told_and_what_is_younger_may_be_at_work(
        self, patient: Doctor, business: Place, gid: str, foreign: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare(business.conninfo, decisions.part(gid, 1))
        prepare(business.conninfo, foreign)
        monkeypatch.setattr(transactions, "_IN_DOUBT_SECONDS", 3_600)
        assert not any(patient.bad(code) for code in PREPARED)

        monkeypatch.setattr(transactions, "_IN_DOUBT_SECONDS", 0)
        monkeypatch.setattr(transactions, "_ORPHANED_SECONDS", 3_600)
        finding = patient.only(Code.IN_DOUBT)

        assert finding.level is Level.WARNING
        assert "Its rows stay locked until it is ended." in finding.says
        assert finding.fix == "Start `scheduler run`, whose resolver settles it."
        assert not patient.bad(Code.PREPARED_ORPHANS)
        assert not patient.bad(Code.PREPARED_FOREIGN)

    @pytest.mark.usefixtures("after_a_minute")
    def test_a_decision_waits_for_a_database_that_is_beyond_reach(self, patient: Doctor, sql: Sql, gid: str) -> None:
        away = Place("business", "postgresql:///shop?host=/nowhere", pool_size=10, two_phase=True)
        decide(sql, gid, "business")

        finding = patient.given(others=[away]).only(Code.IN_DOUBT)

        assert "databases.business, which can't be reached, may not know" in finding.says
        assert "Nothing is lost" in (finding.fix or "")
        assert [row[0] for row in sql(finding.sql[0])] == []  # that view has nothing younger than 30 s

    @pytest.mark.usefixtures("after_a_minute")
    @pytest.mark.parametrize("others", [[], ["business"]])
    def test_a_decision_waits_for_a_database_that_is_not_in_the_settings(
        self, patient: Doctor, sql: Sql, gid: str, others: list[str]
    ) -> None:
        decide(sql, gid, "books", *others)

        finding = patient.only(Code.IN_DOUBT)

        assert "a database 'books', which these settings don't name, may not know" in finding.says
        for statement in finding.sql:
            sql(statement)
        left = sql("SELECT participants FROM job_transactions WHERE settled_at IS NULL")
        assert left == ([(others,)] if others else [])
        assert sql("SELECT gid FROM job_transactions") == [(gid,)]

    @pytest.mark.usefixtures("after_a_minute")
    def test_a_decision_that_no_live_resolver_has_noted(self, patient: Doctor, sql: Sql, gid: str) -> None:
        decide(sql, gid, "business")
        assert not patient.bad(Code.IN_DOUBT)  # as the last worker leaves them when it stops
        sql("SELECT register_worker('host-a:812', '{default}', 5, lease_seconds => 3600)")
        finding = patient.only(Code.IN_DOUBT)
        assert "no resolver has noted" in finding.says
        assert "its log tells what keeps it from that" in (finding.fix or "")
        sql("UPDATE job_transactions SET settled_at = job_now()")
        assert not patient.bad(Code.IN_DOUBT)


class TestSettings:
    def test_without_participants_there_is_nothing_to_set(self, doctor: Doctor, database_url: str) -> None:
        assert not doctor.bad(Code.PREPARED_SETTING)
        alone = Place("business", database_url, pool_size=10, two_phase=False)
        assert not doctor.given(others=[alone], pool_size=1_000).bad(Code.PREPARED_SETTING)

    def test_databases_of_one_server_share_its_room(self, patient: Doctor, business: Place, database_url: str) -> None:
        books = Place("books", database_url, pool_size=10, two_phase=True)
        assert not patient.given(pool_size=40).bad(Code.PREPARED_SETTING)
        bad = patient.given(others=[business, books], pool_size=40).bad(Code.PREPARED_SETTING)
        assert [each.level for each in bad] == [Level.ERROR, Level.ERROR]
        assert "has room for 64 prepared transactions (max_prepared_transactions), and workers could need 80" in (
            bad[0].says
        )
        assert bad[0].sql == ["ALTER SYSTEM SET max_prepared_transactions = 160;  -- then restart that server"]

    def test_a_job_database_without_a_name(self, patient: Doctor, sql: Sql) -> None:
        sql("DELETE FROM job_installation")
        finding = patient.only(Code.PREPARED_SETTING)
        assert "has no name of its own" in finding.says
        sql(finding.sql[0])
        assert not patient.bad(Code.PREPARED_SETTING)


@pytest.fixture(scope="module")
def healthy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayPostgres]:
    """One that nothing is wrong with, as that of the other tests doesn't vacuum."""
    with ThrowawayPostgres(tmp_path_factory.mktemp("healthy"), settings={"autovacuum": "on"}) as server:
        yield server


@pytest.fixture(scope="module")
def no_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of a server that can't prepare."""
    with server_with_room_for("0", tmp_path_factory) as url:
        yield url


@pytest.fixture(scope="module")
def little_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_with_room_for("2", tmp_path_factory) as url:
        yield url


@contextmanager
def server_with_room_for(most: str, factory: pytest.TempPathFactory) -> Iterator[str]:
    with ThrowawayPostgres(factory.mktemp("small"), settings={"max_prepared_transactions": most}) as server:
        yield server.url()


@pytest.fixture
def two_databases(
    healthy_server: ThrowawayPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """A project on them. Nothing is wrong but that no worker is alive, which is a warning."""
    with healthy_server.fresh_database() as job, healthy_server.fresh_database() as business:
        migrate(job)
        monkeypatch.setenv("SCHEDULER_DATABASES__DEFAULT__URL", job)
        monkeypatch.setenv("SCHEDULER_DATABASES__BUSINESS__URL", business)
        yield job, business


@pytest.mark.usefixtures("after_minutes")
class TestExitCodes:
    def test_nothing_wrong(self, scheduler: Command, two_databases: tuple[str, str]) -> None:
        ran = scheduler("doctor")
        assert ran.code == 0, ran.out
        assert "databases.business has room for 64 prepared transactions." in ran.out

    def test_an_orphan(self, scheduler: Command, two_databases: tuple[str, str]) -> None:
        job, business = two_databases
        with psycopg.connect(job) as connection:
            (row,) = connection.execute("SELECT id FROM job_installation").fetchall()
        part = decisions.part(decisions.new_gid(str(row[0])), 1)
        prepare(business, part)
        ran = scheduler("doctor", "--quiet")
        assert ran.code == 1
        assert f"\n      ROLLBACK PREPARED '{part}';\n    docs/doctor.md#prepared-orphans\n" in ran.out

    def test_what_is_not_ours_fails_only_if_warnings_do(
        self, scheduler: Command, two_databases: tuple[str, str], foreign: str
    ) -> None:
        prepare(two_databases[1], foreign)
        assert scheduler("doctor", "--strict").code == 1
        ran = scheduler("doctor", "--quiet")
        assert ran.code == 0
        assert "docs/doctor.md#prepared-foreign" in ran.out

    @pytest.mark.parametrize("room", ["no_room", "little_room"])
    def test_too_little_room(
        self,
        scheduler: Command,
        two_databases: tuple[str, str],
        room: str,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SCHEDULER_DATABASES__BUSINESS__URL", request.getfixturevalue(room))
        ran = scheduler("doctor", "--quiet")
        assert ran.code == 1
        assert "ALTER SYSTEM SET max_prepared_transactions = 64;  -- then restart that server" in ran.out
        monkeypatch.setenv("SCHEDULER_DATABASES__BUSINESS__ATOMICITY", "best_effort")
        assert scheduler("doctor").code == 0


class TestARunOverAServerThatCannotPrepare:
    @pytest.fixture
    def run(self, two_databases: tuple[str, str], no_room: str, folder: Path) -> Callable[[], Ran]:
        """`scheduler run --until-idle`, in a process of its own."""

        def run() -> Ran:
            ran = command(
                folder,
                "run",
                "--until-idle",
                SCHEDULER_DATABASES__DEFAULT__URL=two_databases[0],
                SCHEDULER_DATABASES__BUSINESS__URL=no_room,
                SCHEDULER_WORKER__DATABASES="business",
            )
            return Ran(ran.returncode, ran.stdout, ran.stderr)

        return run

    def test_it_is_warned_of(self, run: Callable[[], Ran]) -> None:
        ran = run()
        assert ran.code == 0
        assert "Database business can't prepare transactions" in ran.err
        assert "Set max_prepared_transactions on its server" in ran.err

    def test_and_refused_where_a_handler_declares_it(self, run: Callable[[], Ran], folder: Path) -> None:
        (folder / "handlers" / "carrying.py").write_text(HANDLER)
        ran = run()
        assert ran.code == 2
        said = " ".join(ran.err.split())
        assert "declares transactional=['default', 'business']: databases.business can't prepare transactions." in said
        assert "Set max_prepared_transactions = 64 on that server and restart it." in said
