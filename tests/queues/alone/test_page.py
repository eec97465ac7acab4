"""The examples of docs/message-queues-alone.md run as they are, and the page names what there is."""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

import scheduler.queues as public
from scheduler.queues import InMemoryQueue, QueueConfig, ThreadPoolConfig, Worker, WorkerConfig, WorkerState, background
from tests.queues.alone.waiting import ROOT

PAGE = (ROOT / "docs/message-queues-alone.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def run(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "example", "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def _nothing_is_left_at_work() -> Iterator[None]:
    yield
    assert not background.home().running


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_examples_run(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    namespace = run(block)
    assert capsys.readouterr().out == ("{'task': 'A'}\n" if block == BLOCKS[0] else "")
    if "worker" in namespace:
        assert namespace["worker"].state is WorkerState.STOPPED


DESIGNED = """
from scheduler.queues import InMemoryQueue, RedisQueue, QueueConfig, QueueItem, Worker, WorkerConfig, WorkerState, ThreadPool, ThreadPoolConfig, TaskRecord

queue = InMemoryQueue(QueueConfig(max_size=100, default_timeout=1.0))     # or RedisQueue(url="redis://…/0", name="jobs", config=QueueConfig(max_size=100))
worker = Worker(queue, WorkerConfig(name="consumer", poll_timeout=0.5, max_retries=3))

@worker
def handle(item): print(item.payload)

with worker:                          # leaving works off what was put, then stops
    queue.put({"task": "A"})
"""  # noqa: E501 - as it was designed


def test_the_designed_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(DESIGNED)["worker"].processed == 1
    assert capsys.readouterr().out == "{'task': 'A'}\n"


def test_all_configs_are_optional() -> None:
    with InMemoryQueue() as queue, Worker(queue, handler=print), public.ThreadPool() as pool:
        assert (queue.config, pool.config) == (QueueConfig(), ThreadPoolConfig())


def test_the_page_names_what_there_is() -> None:
    names = [*public.__all__, *(each.name for each in (*fields(QueueConfig), *fields(WorkerConfig)))]
    assert [name for name in names if name not in PAGE] == []


def test_public_names_are_listed_and_there() -> None:
    assert set(public.__all__) <= set(dir(public))
    for name in public.__all__:
        assert getattr(public, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Wroker'"):
        public.Wroker  # noqa: B018
