"""Where settings come from, and which source wins."""

import pytest

from scheduler.config import DatabaseSettings, load_settings
from scheduler.config.settings import IgnoredFile
from tests.config.conftest import Project

URL = "postgresql://app:pw@db.example:5432/jobs"


def test_nothing_written_means_defaults_and_the_embedded_server(project: Project) -> None:
    settings = project.load()

    assert settings.job_database is None
    assert not settings.database_named
    assert settings.handlers == ["handlers"]
    assert (settings.worker.pool_size, settings.worker.lease_seconds, settings.worker.queues) == (5, 30, ["default"])
    assert settings.retention.success.keep_days == 30
    assert (settings.sources, settings.ignored) == ((), ())


def test_the_two_files_of_a_project_work_as_they_are(project: Project) -> None:
    worker = project.write(
        "config/worker.yaml",
        """\
        worker:
          database: default
          databases: [business]
          pool_size: 8
          poll_interval_seconds: 2.5
          claim_batch_size: 20
          shutdown_timeout_seconds: 60
        """,
    )
    database = project.write(
        "config/database.yaml",
        f"""\
        databases:
          default: {{url: "{URL}", pool_size: 20}}
          business:
            host: other.example
            user: app
            password: "p@ss/word"
            dbname: shop
        """,
    )

    settings = project.load()

    assert settings.worker.pool_size == 8
    assert settings.worker.poll_interval_seconds == 2.5
    assert settings.worker.claim_batch_size == 20
    assert settings.worker.shutdown_timeout_seconds == 60
    assert settings.job_database is settings.databases["default"]
    assert settings.databases["default"].pool_size == 20
    assert settings.databases["business"].conninfo.startswith("postgresql://app:p%40ss%2Fword@other.example/shop?")
    assert settings.sources == (database, worker)


def test_one_file_can_hold_everything(project: Project) -> None:
    path = project.write(
        "scheduler.yaml",
        """\
        worker: {queues: [mail, reports]}
        handlers: [jobs, shop.handlers]
        retention: {SUCCESS: {keep_days: null}, FAILED: {keep_days: 7}}
        log: {level: DEBUG, format: json, language: ko}
        drivers: {broker: {kind: redis, url: "redis://localhost/0"}, local: {kind: memory}}
        queues: {tasks: {driver: broker, options: {durable: true, ttl_seconds: 3600}}}
        consumers: {task_consumer: {queue: tasks, handler: email, concurrency: 2, depends_on: [tasks]}}
        """,
    )

    settings = project.load()

    assert settings.sources == (path,)
    assert settings.worker.queues == ["mail", "reports"]
    assert settings.retention.success.keep_days is None
    assert settings.retention.failed.keep_days == 7
    assert (settings.log.level, settings.log.format, settings.log.language) == ("debug", "json", "ko")
    assert (settings.queues["tasks"].options.durable, settings.queues["tasks"].options.ttl_seconds) == (True, 3600)
    assert (settings.consumers["task_consumer"].concurrency, settings.consumers["task_consumer"].prefetch) == (2, 10)


def test_a_section_may_be_spread_over_files(project: Project) -> None:
    project.write("config/a.yaml", f"databases: {{default: {{url: '{URL}'}}}}\nworker: {{pool_size: 3}}\n")
    project.write("config/b.yml", "databases: {default: {pool_size: 7}}\nworker: {processes: 2}\n")

    settings = project.load()

    assert settings.databases["default"].pool_size == 7
    assert (settings.worker.pool_size, settings.worker.processes) == (3, 2)


def test_files_of_somebody_else_are_left_alone(project: Project) -> None:
    ours = project.write("config/worker.yaml", "worker: {pool_size: 2}\nmyapp: {title: x}\n")
    ignored = [
        project.write("config/app.yaml", "title: Shop\nsecret: !vault abc\n"),
        project.write("config/empty.yaml", ""),
        project.write("config/list.yaml", "- worker\n"),
        project.write("config/many.yaml", "kind: Pod\n---\nkind: Service\n"),
    ]
    project.write("config/.worker.yaml", "worker: [left by an editor")
    project.write("config/deeper/worker.yaml", "worker: {pool_size: 9}")

    settings = project.load()

    assert settings.sources == (ours,)
    assert [file.path for file in settings.ignored] == ignored
    assert [file.slips for file in settings.ignored] == [{}] * len(ignored)
    assert settings.worker.pool_size == 2


def test_a_slip_in_a_file_of_somebody_else_is_kept_in_mind(project: Project) -> None:
    path = project.write("config/database.yaml", f"database: {{default: {{url: '{URL}'}}}}\ntitle: Shop\nworkers: 3\n")

    settings = project.load()

    assert settings.ignored == (IgnoredFile(path, {"database": "databases", "workers": "worker"}),)
    assert not settings.database_named


@pytest.mark.parametrize("text", ["", "# worker: {}\n", "---\n"])
def test_an_empty_file_says_nothing(project: Project, text: str) -> None:
    path = project.write("scheduler.yaml", text)

    settings = project.load()

    assert (settings.sources, settings.ignored) == ((), (IgnoredFile(path),))


def test_an_empty_section_is_as_good_as_none(project: Project) -> None:
    project.write("scheduler.yaml", "worker:\n  # pool_size: 3\ndatabases:\n  default:\nhandlers:\n")

    settings = project.load()

    assert settings.worker.pool_size == 5
    assert settings.databases == {"default": DatabaseSettings()}
    assert settings.job_database is None


def test_anchors_and_merge_keys_work(project: Project) -> None:
    project.write(
        "config/database.yaml",
        """\
        common: &common {host: db.example, user: app, pool_size: 4}
        databases:
          default: {<<: *common, dbname: jobs}
          business: {<<: *common, dbname: shop, pool_size: 6}
        """,
    )

    databases = project.load().databases

    assert (databases["default"].host, databases["default"].pool_size) == ("db.example", 4)
    assert (databases["business"].dbname, databases["business"].pool_size) == ("shop", 6)


def test_variables_override_dotenv_which_overrides_files(project: Project) -> None:
    project.write("scheduler.yaml", "worker: {pool_size: 1, processes: 1, claim_batch_size: 1}\n")
    project.write(".env", "SCHEDULER_WORKER__POOL_SIZE=2\nexport SCHEDULER_WORKER__PROCESSES='2'\nOTHER=x\n")

    worker = project.load(SCHEDULER_WORKER__POOL_SIZE="3").worker

    assert (worker.claim_batch_size, worker.processes, worker.pool_size) == (1, 2, 3)


def test_dotenv_lines_may_refer_to_each_other(project: Project) -> None:
    project.write(".env", "HOST=db.example\nSCHEDULER_DATABASE_URL=postgresql://${HOST}/jobs\n")

    assert project.load().databases["default"].conninfo.startswith("postgresql://db.example/jobs?")


def test_dotenv_is_a_source_only_when_it_says_something_of_ours(project: Project) -> None:
    dotenv = project.write(".env", "OTHER=x\nSCHEDULER_PG_BIN=/opt/pg\n")
    assert project.load().sources == ()

    project.write(".env", f"SCHEDULER_DATABASE_URL={URL}\n")
    assert project.load().sources == (dotenv,)


@pytest.mark.parametrize("text", ["mail,reports", " mail , reports ,", '["mail", "reports"]'])
def test_a_variable_holds_a_list_as_names_or_as_json(project: Project, text: str) -> None:
    assert project.load(SCHEDULER_WORKER__QUEUES=text).worker.queues == ["mail", "reports"]


def test_a_variable_holds_a_section_as_json(project: Project) -> None:
    settings = project.load(SCHEDULER_LOG='{"level": "error"}', SCHEDULER_LOG__LANGUAGE="ko")

    assert (settings.log.level, settings.log.language) == ("error", "ko")


def test_variables_reach_names_whatever_their_case(project: Project) -> None:
    project.write("scheduler.yaml", f"databases: {{userDB: {{url: '{URL}'}}, my-db: {{url: '{URL}'}}}}\n"
                                    "worker: {database: userDB}\nretention: {SUCCESS: {keep_days: 1}}\n")  # fmt: skip

    settings = project.load(
        SCHEDULER_DATABASES__USERDB__POOL_SIZE="3",
        SCHEDULER_DATABASES__MY_DB__POOL_SIZE="4",
        SCHEDULER_RETENTION__SUCCESS__KEEP_DAYS="5",
        SCHEDULER_RETENTION__FAILED__KEEP_DAYS="6",
    )

    assert {name: database.pool_size for name, database in settings.databases.items()} == {"userDB": 3, "my-db": 4}
    assert (settings.retention.success.keep_days, settings.retention.failed.keep_days) == (5, 6)


def test_database_url_is_the_job_database_whatever_its_name(project: Project) -> None:
    project.write("scheduler.yaml", "worker: {database: main}\n")

    settings = project.load(SCHEDULER_DATABASE_URL=URL)

    assert list(settings.databases) == ["main"]
    assert settings.job_database is settings.databases["main"]


@pytest.mark.parametrize("variable", ["SCHEDULER_DATABASE_URL", "SCHEDULER_DATABASES__DEFAULT__URL"])
def test_a_url_from_a_variable_replaces_the_whole_address(project: Project, variable: str) -> None:
    project.write(
        "scheduler.yaml",
        "databases: {default: {host: old, user: old, password: old, direct_url: 'postgresql://old/x', pool_size: 3}}\n",
    )

    database = project.load(**{variable: URL}).databases["default"]

    assert "old" not in database.conninfo + database.direct_conninfo
    assert database.pool_size == 3


def test_the_password_alone_may_come_from_a_variable(project: Project) -> None:
    project.write("scheduler.yaml", "databases: {default: {host: db, user: app, dbname: jobs}}\n")

    database = project.load(SCHEDULER_DATABASES__DEFAULT__PASSWORD="s3cret").databases["default"]

    assert database.conninfo.startswith("postgresql://app:s3cret@db/jobs")


def test_variables_of_somebody_else_are_left_alone(project: Project) -> None:
    settings = project.load(
        SCHEDULER_PG_BIN="/usr/lib/postgresql/18/bin",
        SCHEDULER_FAILPOINTS="before_settle=raise",
        SCHEDULER_PORT="tcp://10.0.0.1:80",
        SCHEDULER_SERVICE_HOST="10.0.0.1",
        SCHEDULER_DATABASE_PORT="tcp://10.0.0.2:5432",
        SCHEDULER_WORKER_SERVICE_PORT="80",
        SCHEDULER_SOURCES="x",
        WORKER__POOL_SIZE="x",
    )

    assert settings == project.load()


def test_the_process_environment_and_folder_are_the_defaults(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("scheduler.yaml", "worker: {processes: 2}\n")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("SCHEDULER_WORKER__POOL_SIZE", "17")

    worker = load_settings().worker

    assert (worker.processes, worker.pool_size) == (2, 17)


def test_a_byte_order_mark_is_no_part_of_a_key(project: Project) -> None:
    project.write("scheduler.yaml", "\ufeffworker: {pool_size: 2}\n")
    project.write(".env", "\ufeffSCHEDULER_WORKER__PROCESSES=3\n")

    worker = project.load().worker

    assert (worker.pool_size, worker.processes) == (2, 3)


@pytest.mark.parametrize(
    ("written", "range_"), [("1", (1, 1)), ("0", (0, 0)), ("3", (3, 3)), ("2..8", (2, 8)), ("' 2 .. 2 '", (2, 2))]
)
def test_a_number_or_a_range_of_processes(project: Project, written: str, range_: tuple[int, int]) -> None:
    project.write("scheduler.yaml", f"worker: {{processes: {written}}}\n")

    assert project.load().worker.process_range == range_
