"""What is refused, in which words: where it stands, and what to write there."""

import pytest

from tests.config.conftest import Project

URL = "postgresql://app:hunter2@db.example/jobs"
DATABASE = "databases.default"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("worker: {poolsize: 3}", "line 1: worker.poolsize is not a setting. Did you mean 'pool_size'?"),
        ("worker: {\n zzz: 3}", "line 2: worker.zzz is not a setting. Known here: database, databases, queues, "),
        ("worker: {5: 3}", "line 1: worker[5] is not a setting. Known here: "),
        ("worker: {pool_size: 0}", "line 1: worker.pool_size must be 1 or more, not 0."),
        ("worker: {pool_size: -3}", "worker.pool_size must be 1 or more, not -3."),
        ("worker: {pool_size: 2.5}", "worker.pool_size must be a whole number, not 2.5."),
        ("worker: {pool_size: many}", "worker.pool_size must be a whole number, not 'many'."),
        ("worker: {pool_size: yes}", "worker.pool_size must be a number, not true or false."),
        ("worker: {poll_interval_seconds: 0}", "worker.poll_interval_seconds must be more than 0, not 0."),
        ("worker: {poll_interval_seconds: .inf}", "worker.poll_interval_seconds must be a number, not inf."),
        ("worker: {poll_interval_seconds: 100000}", "worker.poll_interval_seconds must be 86400 or less, not 100000."),
        ("worker: {queues: []}", "worker.queues must name at least one."),
        ("worker: {queues: [a, b, a]}", "worker.queues names 'a' twice; write it once."),
        ("worker: {queues: [1]}", "worker.queues[0] must be text; put it in quotes, not 1."),
        ("worker: {queues: {a: 1}}", "worker.queues must be a list, such as [a, b]."),
        ("worker: [a]", "line 1: worker must be a mapping with the keys database, databases, queues, "),
        ("queues: [a]", "queues must be a mapping of names."),
        ("worker: {lease_seconds: 15}", "worker.lease_seconds is 15, less than twice heartbeat_interval_seconds: "
                                        "write 20 or more, or beat more often."),
        ("worker: {heartbeat_interval_seconds: 20}", "worker.lease_seconds is 30, less than twice"),
        ("worker: {claim_batch_size: 600}", "claim_batch_max is 500, less than claim_batch_size (600): "
                                            "write 600 or more."),
        ("log: {level: loud}", "log.level must be 'debug', 'info', 'warning' or 'error', not 'loud'."),
        ("retention: {SUCESS: {keep_days: 3}}", "retention.SUCESS is not a setting. Did you mean 'SUCCESS'?"),
        ("retention: {FAILED: {keep_days: 0}}", "retention.FAILED.keep_days must be more than 0, not 0."),
        ("retention: {FAILED:}", "retention.FAILED.keep_days is missing; write it."),
        ("databases: {default: {url: 'postgresql://h/d?foo=1'}}",
         "databases.default.url has the option 'foo', which Postgres doesn't know. Take it out."),
        ("databases: {default: {url: 'postgresql://h/d?sslmod=require'}}",
         "databases.default.url has the option 'sslmod', which Postgres doesn't know. Did you mean 'sslmode'?"),
        ("drivers: {b: {kind: redis}}", "drivers.b is of kind redis and needs a url, or the variable REDIS_HOST."),
        ("drivers: {b: {kind: kafka}}", "drivers.b.kind must be 'memory', 'redis', 'amqp' or 'sqs'."),
        ("drivers: {broker: {kind: memory}}\nqueues: {q: {driver: brokr}}",
         "line 2: queues.q.driver is 'brokr', which is not under drivers. Did you mean 'broker'?"),
        ("consumers: {c: {queue: tasks, handler: h}}", "consumers.c.queue is 'tasks', which is not under queues."),
        ("drivers: {b: {kind: memory}}\nqueues: {q: {driver: b}}\n"
         "consumers: {c: {queue: q, handler: h, depends_on: [c]}}",
         "line 3: consumers.c.depends_on[0] is 'c', which is not under queues or consumers."),
        ("worekr: {pool_size: 3}\nlog: {}", "line 1: worekr is not a section. Did you mean 'worker'?"),
        ("zebra: 1\nlog: {}", "line 1: zebra is not a section. Known are databases, worker, "),
        ("zebra: 1", "line 1: zebra is not a section. Known are databases, worker, "),
        ("database: {default: {}}", "line 1: database is not a section. Did you mean 'databases'?"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_line(project: Project, text: str, sentence: str) -> None:
    project.write("scheduler.yaml", text)

    message = project.refusal()

    assert message.startswith("scheduler.yaml, line ")
    assert sentence in message
    assert message.endswith((".", "?"))
    assert "\n" not in message


@pytest.mark.parametrize(
    ("database", "sentence"),
    [
        ("{url: 'mysql://app:hunter2@h/d'}", "databases.default.url must be a Postgres URL: postgresql://"),
        ("{url: hunter2}", "databases.default.url must be a Postgres URL: postgresql://"),
        ("{url: 'postgresql://app:hunter2/x@h/d'}", "databases.default.url can't be read: in a user or password"),
        ("{url: 'postgresql://app:hunter2?x@h/d'}", "databases.default.url has a port that is no number"),
        ("{url: 'postgresql://h:99999/d'}", "databases.default.url has a port that is no number from 1 to 65535"),
        ("{url: }", "databases.default.url is empty: write its value, or remove the key."),
        ("{url: '  '}", "databases.default.url is empty: write its value, or remove the key."),
        ("{host: h, password: 12345}", "databases.default.password must be text; put it in quotes."),
        ("{host: h, port: 0}", "databases.default.port must be 1 or more."),
        ("{host: h, pasword: hunter2}", "databases.default.pasword is not a setting. Did you mean 'password'?"),
        (f"{{url: '{URL}', host: h}}", "databases.default has both url and host: keep the one or the others."),
        ("{user: app, password: hunter2}", "databases.default has user, password but no host: add host, or write"),
        (f"{{direct_url: '{URL}'}}", "databases.default has a direct_url but no url: add url."),
        (f"{{url: '{URL}', schema: Jobs}}", "databases.default.schema must be lower-case letters"),
        (f"{{url: '{URL}', schema: pg_jobs}}", "databases.default.schema must be lower-case letters"),
        (f"{{url: '{URL}', schema: {'x' * 49}}}", "databases.default.schema must be lower-case letters"),
        (f"{{url: '{URL}', atomicity: none}}", "databases.default.atomicity must be 'two_phase' or 'best_effort'."),
        (f"'{URL}'", "databases.default must be a mapping with the keys url, host, port, "),
    ],
)
def test_a_wrong_database_is_refused_without_showing_secrets(project: Project, database: str, sentence: str) -> None:
    project.write("config/database.yaml", f"databases:\n  default: {database}\n")

    message = project.refusal()

    assert message.startswith(f"config/database.yaml, line 2: {sentence}")
    assert "hunter2" not in message
    assert "12345" not in message


def test_a_url_in_the_place_of_a_name_is_not_repeated(project: Project) -> None:
    project.write("scheduler.yaml", f"worker: {{database: '{URL}'}}\ndatabases: {{default: {{url: '{URL}'}}}}\n")

    message = project.refusal()

    assert message == (
        "scheduler.yaml, line 1: worker.database must be a name under databases, not a URL: write the URL there."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("worker: {database: defualt}", "line 1: worker.database is 'defualt', which is not under databases. "
                                        "Did you mean 'default'?"),
        ("worker: {databases: [busines]}", "line 1: worker.databases[0] is 'busines', which is not under databases. "
                                           "Did you mean 'business'?"),
        ("worker: {databases: [empty]}", "line 2: databases.empty has no address: write its url, or host and"),
    ],
)  # fmt: skip
def test_a_database_that_is_used_must_be_there(project: Project, text: str, sentence: str) -> None:
    project.write(
        "scheduler.yaml", f"{text}\ndatabases: {{default: {{url: '{URL}'}}, business: {{url: '{URL}'}}, empty: {{}}}}\n"
    )

    assert sentence in project.refusal()


def test_without_any_address_all_names_are_for_the_embedded_server(project: Project) -> None:
    project.write("scheduler.yaml", "worker: {database: main, databases: [business]}\ndatabases: {main: {}}\n")

    settings = project.load()

    assert settings.job_database is None
    assert settings.worker.databases == ["business"]


def test_a_further_database_alone_does_not_hide_a_lost_job_database(project: Project) -> None:
    project.write("scheduler.yaml", f"databases: {{business: {{url: '{URL}'}}}}\nworker: {{databases: [business]}}\n")

    assert "worker.database is 'default', which is not under databases." in project.refusal()


def test_every_problem_is_listed_at_once(project: Project) -> None:
    project.write("config/worker.yaml", "worker:\n  pool_size: 0\n  queue: a\n")
    project.write("config/log.yaml", "log: {language: fr}\n")

    assert project.refusal(SCHEDULER_WORKER__PROCESSES="x").splitlines() == [
        "The settings have 4 problems:",
        "  - config/worker.yaml, line 2: worker.pool_size must be 1 or more, not 0.",
        "  - SCHEDULER_WORKER__PROCESSES must be a number of processes, or two such as 2..8, not 'x'.",
        "  - config/worker.yaml, line 3: worker.queue is not a setting. Did you mean 'queues'?",
        "  - config/log.yaml, line 1: log.language must be 'en' or 'ko', not 'fr'.",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("SCHEDULER_WORKER__POOLSIZE", "3", " is not a setting. Did you mean 'SCHEDULER_WORKER__POOL_SIZE'?"),
        ("SCHEDULER_WORKER_POOL_SIZE", "3", " is not a setting. Did you mean 'SCHEDULER_WORKER__POOL_SIZE'?"),
        ("SCHEDULER_LOG_LEVEL", "info", " is not a setting. Did you mean 'SCHEDULER_LOG__LEVEL'?"),
        ("SCHEDULER_DATABASE_URI", URL, " is not a setting. Did you mean 'SCHEDULER_DATABASE_URL'?"),
        ("SCHEDULER_DATABASE__DEFAULT__URL", URL, " is not a setting: no section is called 'DATABASE'. "
                                                  "Did you mean 'DATABASES'?"),
        ("SCHEDULER_WORKER__POOL_SIZE", "", " must be a whole number, not ''."),
        ("SCHEDULER_LOG", "info", " must be a mapping with the keys level, format, language."),
        ("SCHEDULER_DATABASES", "{broken", " must be a mapping of names."),
        ("SCHEDULER_DATABASE_URL", "", " is empty: write its value, or remove the key."),
        ("SCHEDULER_DATABASE_URL", "hunter2", " must be a Postgres URL: postgresql://user:password@host:5432/dbname."),
        ("SCHEDULER_DATABASES__DEFAULT__URL", "hunter2", " must be a Postgres URL: "),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(project: Project, variable: str, value: str, sentence: str) -> None:
    message = project.refusal(**{variable: value})

    assert message.startswith(variable + sentence)
    assert "hunter2" not in message


def test_a_wrong_variable_in_dotenv_is_named_as_such(project: Project) -> None:
    project.write(".env", "SCHEDULER_WORKER__POOL_SIZE=0\n")

    assert project.refusal() == "SCHEDULER_WORKER__POOL_SIZE (in .env) must be 1 or more, not '0'."


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("many", "must be a number of processes, or two such as 2..8, not 'many'."),
        ("-1", "must be from 0 up to 1000, not -1."),
        ("1001", "must be from 0 up to 1000, not 1001."),
        ("2..1001", "must be from 0 up to 1000, not '2..1001'."),
        ("8..2", "must be a range from 1 up, such as 2..8, not '8..2'."),
        ("0..2", "must be a range from 1 up, such as 2..8, not '0..2'."),
        ("2..", "must be a number of processes, or two such as 2..8, not '2..'."),
    ],
)
def test_a_number_of_processes_that_makes_no_sense(project: Project, written: str, sentence: str) -> None:
    project.write("scheduler.yaml", f"worker: {{processes: {written}}}\n")

    assert sentence in project.refusal()


def test_two_addresses_for_the_job_database_are_refused(project: Project) -> None:
    message = project.refusal(SCHEDULER_DATABASE_URL=URL, SCHEDULER_DATABASES__DEFAULT__URL=URL)

    assert message == (
        "SCHEDULER_DATABASE_URL and SCHEDULER_DATABASES__DEFAULT__URL both say where the database 'default' is: "
        "keep one of them."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("worker:\n\tpool_size: 3", ", line 2, column 1: is not valid YAML; indent with spaces, not with tabs."),
        ("log: {}\nworker: [a", ", line 2, column 11: is not valid YAML; check the indentation"),
        ("databases: {default: {host: h, password: *hunter2}}", ", line 1, column 42: is not valid YAML; "),
        ("databases: {default: {host: h, password: !hunter2 x}}", ", line 1, column 42: is not valid YAML; "),
        ("databases: {default: {host: h, password: @hunter2}}", ", line 1, column 42: is not valid YAML; "),
        ("worker: {}\nlog: {}\nworker: {}", ", line 3: the key 'worker' is already on line 1; keep one."),
        ("worker: {pool_size: 1, pool_size: 2}", ", line 1: the key 'pool_size' is already on line 1; keep one."),
        ("worker: {}\n---\nlog: {}", ": has several documents; remove the --- between them."),
        ("worker: {database: 2026-13-45}", ": holds a date or number that doesn't exist; put it in quotes."),
        ("queues: &a {q: *a}", ": is nested too deeply, or inside itself by an alias."),
        ("worker: {database: \x07}", ": holds characters that YAML doesn't allow; save it as plain UTF-8 text."),
    ],
)
def test_a_broken_file_is_named_with_its_line(project: Project, text: str, sentence: str) -> None:
    project.write("config/broken.yaml", text)

    message = project.refusal()

    assert message.startswith(f"config/broken.yaml{sentence}")
    assert "hunter2" not in message


@pytest.mark.parametrize("name", ["scheduler.yaml", ".env"])
def test_a_file_in_another_encoding_is_named(project: Project, name: str) -> None:
    (project.folder / name).write_bytes("worker: {database: 기본}".encode("cp949"))

    assert "UTF-8" in project.refusal()
    assert project.refusal().startswith(name)


def test_a_broken_line_of_dotenv_is_named(project: Project) -> None:
    project.write(".env", "OTHER=x\nSCHEDULER_DATABASE_URL='hunter2\n")

    assert project.refusal() == ".env, line 2: write NAME=value, with quotes that close."


def test_the_same_value_in_two_files_is_refused(project: Project) -> None:
    project.write("config/a.yaml", "worker: {pool_size: 3}\n")
    project.write("config/b.yaml", "worker:\n  pool_size: 4\n")

    assert project.refusal() == (
        "config/b.yaml, line 2: worker.pool_size is already given in config/a.yaml, line 1; keep one of the two."
    )


@pytest.mark.parametrize("other", ["config/worker.yaml", "scheduler.yml"])
def test_settings_in_two_places_are_refused(project: Project, other: str) -> None:
    project.write("scheduler.yaml", "worker: {}\n")
    project.write(other, "log: {}\n")

    assert project.refusal() == (
        f"scheduler.yaml and {other} both hold settings: keep scheduler.yaml or config/, not both."
    )


@pytest.mark.parametrize("text", ["- worker", "worker"])
def test_the_one_file_holds_sections(project: Project, text: str) -> None:
    project.write("scheduler.yaml", text)

    assert project.refusal().startswith("scheduler.yaml: must be a mapping with the keys databases, worker, handlers, ")


def test_a_slip_in_a_section_is_noticed_beside_ours(project: Project) -> None:
    project.write("config/all.yaml", "log: {}\ndatabase: {default: {}}\nlogging: {version: 1}\n")

    assert project.refusal() == "config/all.yaml, line 2: database is not a section. Did you mean 'databases'?"
