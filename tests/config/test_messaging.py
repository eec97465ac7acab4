"""Drivers, message queues and consumers: what is understood, what is filled in, and what is refused."""

import pytest

from tests.config.conftest import Project

LOCAL = "drivers: {local: {kind: memory}}\nqueues: {tasks: {driver: local}}\n"


def consumer(text: str) -> str:
    return f"{LOCAL}consumers: {{c: {{queue: tasks, handler: h, {text}}}}}\n"


def test_what_is_not_written_has_its_default(project: Project) -> None:
    project.write("scheduler.yaml", LOCAL + "consumers: {c: {queue: tasks, func: email}}\n")

    found = project.load().consumers["c"]

    assert (found.handler, found.concurrency, found.prefetch) == ("email", 1, 10)
    assert (found.starts_itself, found.needs) == (True, [])


def test_several_queues_share_a_driver_and_several_consumers_a_queue(project: Project) -> None:
    project.write(
        "scheduler.yaml",
        """\
        drivers: {local: {kind: memory}}
        queues: {tasks: {driver: local}, mail: {driver: local, options: {max_deliveries: 2}}}
        consumers:
          one: {queue: tasks, handler: a}
          two: {queue: tasks, handler: b, lifecycle: {auto_start: false, depends_on: [one, mail]}}
        """,
    )

    settings = project.load()

    assert settings.queues["mail"].options.queue_options.max_deliveries == 2
    assert (settings.consumers["two"].starts_itself, settings.consumers["two"].needs) == (False, ["one", "mail"])


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"REDIS_HOST": "cache.example"}, "redis://cache.example:6379/0"),
        (
            {"REDIS_HOST": "::1", "REDIS_PORT": "6380", "REDIS_DB": "3", "REDIS_PASSWORD": "p@ss/word"},
            "redis://:p%40ss%2Fword@[::1]:6380/3",
        ),
    ],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_variables_complete_a_redis_driver(project: Project, variables: dict[str, str], url: str, where: str) -> None:
    project.write(
        "scheduler.yaml", "drivers: {a: {kind: redis}, b: {kind: redis, url: redis://other/1}, c: {kind: memory}}\n"
    )
    if where == ".env":
        project.write(".env", "".join(f"{name}={value}\n" for name, value in variables.items()))

    settings = project.load(**(variables if where == "environment" else {}))

    urls = [given.get_secret_value() if (given := driver.url) else None for driver in settings.drivers.values()]
    assert urls == [url, "redis://other/1", None]
    assert "ss%2F" not in repr(settings)


def test_variables_without_a_redis_driver_are_somebody_elses(project: Project) -> None:
    project.write("scheduler.yaml", "drivers: {a: {kind: memory}}\n")

    assert project.load(REDIS_HOST="cache", REDIS_PORT="no number").drivers["a"].url is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (consumer("concurrency: 0"), "line 3: consumers.c.concurrency must be 1 or more, not 0."),
        (consumer("concurrency: 1001"), "line 3: consumers.c.concurrency must be 1000 or less, not 1001."),
        (consumer("prefetch: 0"), "line 3: consumers.c.prefetch must be 1 or more, not 0."),
        (consumer("prefetch: 10001"), "line 3: consumers.c.prefetch must be 10000 or less, not 10001."),
        (consumer("func: g"), "line 3: consumers.c has both handler and func, two words for the same: keep one."),
        (consumer("concurency: 3"), "line 3: consumers.c.concurency is not a setting. Did you mean 'concurrency'?"),
        (
            consumer("auto_start: true, lifecycle: {auto_start: false}"),
            "line 3: consumers.c has auto_start beside and inside of lifecycle: keep one of them.",
        ),
        (
            consumer("lifecycle: {depends_on: [taks]}"),
            "line 3: consumers.c.lifecycle.depends_on[0] is 'taks', which is not under queues or consumers. "
            "Did you mean 'tasks'?",
        ),
        (
            "drivers: {local: {kind: memory}}\nqueues: {tasks: {driver: local, options: {max_lenght: 3}}}",
            "line 2: queues.tasks.options.max_lenght is not a setting. Did you mean 'max_length'?",
        ),
        (
            "drivers: {local: {kind: memory}}\nqueues: {tasks: {driver: local, options: {visibility_seconds: 0}}}",
            "line 2: queues.tasks.options.visibility_seconds must be 1 or more, not 0.",
        ),
        (
            "drivers: {cloud: {kind: sqs}}\nqueues: {tasks: {driver: cloud, options: {max_length: 3}}}",
            "line 2: queues.tasks.options.max_length is nothing that sqs can be told",
        ),
        (
            "drivers: {cloud: {kind: sqs}}\nqueues: {tasks: {driver: cloud, options: {ttl_seconds: 5}}}",
            "line 2: queues.tasks.options.ttl_seconds must be from 60 up to 1209600 (14 days) for sqs.",
        ),
        ("drivers: {b: {kind: amqp}}", "line 1: drivers.b is of kind amqp and needs a url."),
        ("drivers: {b: {kind: amqp, url: 'http://h'}}", "has a url that doesn't begin with amqp:// or amqps://."),
        ("drivers: {b: {kind: memory, url: 'redis://h'}}", "is of kind memory and has a url: it takes no address."),
        ("drivers: {b: {kind: sqs, url: 'https://h'}}", "has a url: it takes region and endpoint instead."),
        ("drivers: {b: {kind: memory, region: eu}}", "is of kind memory and has region, which is for sqs: remove it."),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(project: Project, text: str, sentence: str) -> None:
    project.write("scheduler.yaml", text)

    assert sentence in project.refusal()


def test_a_circle_is_told_once_with_the_way(project: Project) -> None:
    project.write(
        "scheduler.yaml",
        """\
        drivers: {local: {kind: memory}}
        queues: {tasks: {driver: local}}
        consumers:
          a: {queue: tasks, handler: h, depends_on: [b]}
          b: {queue: tasks, handler: h, lifecycle: {depends_on: [c]}}
          c: {queue: tasks, handler: h, depends_on: [tasks, a]}
          d: {queue: tasks, handler: h, depends_on: [a]}
        """,
    )

    assert project.refusal() == (
        "scheduler.yaml, line 4: consumers.a.depends_on leads back to itself (a → b → c → a): take one of them out."
    )


@pytest.mark.parametrize(("name", "value"), [("REDIS_PORT", "six"), ("REDIS_PORT", "0"), ("REDIS_DB", "-1")])
def test_a_variable_that_cannot_be_used_is_named(project: Project, name: str, value: str) -> None:
    project.write("scheduler.yaml", "drivers: {a: {kind: redis}}\n")

    refusal = project.refusal(REDIS_HOST="cache", **{name: value})

    assert refusal.startswith(f"{name} must be a whole number from ")
    assert refusal.endswith(f", not {value!r}.")


def test_an_empty_redis_host_is_none(project: Project) -> None:
    project.write("scheduler.yaml", "drivers: {a: {kind: redis}}\n")

    assert "drivers.a is of kind redis and needs a url, or the variable REDIS_HOST." in project.refusal(REDIS_HOST="")


@pytest.mark.parametrize("section", ["queues", "consumers"])
def test_a_name_has_to_fit_into_a_row(project: Project, section: str) -> None:
    entry = {"queues": "{driver: local}", "consumers": "{queue: tasks, handler: h}"}[section]
    long = "x" * 201
    queues = f"{{tasks: {{driver: local}}, {long}: {entry}}}" if section == "queues" else "{tasks: {driver: local}}"
    consumers = f"\nconsumers: {{{long}: {entry}}}" if section == "consumers" else ""
    project.write("scheduler.yaml", f"drivers: {{local: {{kind: memory}}}}\nqueues: {queues}{consumers}\n")

    assert long in project.refusal()
