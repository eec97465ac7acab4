"""Handlers that take many executions in one call: how they are declared, called, and what their answer means."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import pytest
from pydantic import BaseModel

from scheduler.errors import ConfigurationError, ParamsError, RetryLater, SchedulerError
from scheduler.handlers import (
    BaseHandler,
    BatchContext,
    ExecutionContext,
    HandlerOptions,
    HandlerSpec,
    current_batch,
    current_execution,
    declare,
)
from tests.store.tables import claim


class Document(BaseModel):
    n: int


def spec(target: Callable[..., Any], **options: Any) -> HandlerSpec:
    return declare("index", target, "jobs.py:7", HandlerOptions(**{"batch_size": 10, **options}))  # type: ignore[typeddict-item] # wrong ones too


def contexts(*params: Any) -> list[ExecutionContext]:
    return [ExecutionContext(claim(id=n, params_text=json.dumps(each)), 1e9) for n, each in enumerate(params, 1)]


def run(spec: HandlerSpec, context: ExecutionContext) -> Any:
    async def awaited() -> Any:
        value = spec.call(context)
        return await value if isawaitable(value) else value

    return asyncio.run(awaited())


def answer(target: Callable[..., Any], *params: Any) -> list[Any]:
    return list(run(spec(target), BatchContext(contexts(*params))))


async def numbers(batch: list[Document]) -> list[int]:
    return [document.n for document in batch]


def blocking_numbers(batch: Sequence[Document]) -> tuple[int, ...]:
    return tuple(document.n for document in batch)


class Numbers(BaseHandler):
    async def execute(self, batch: list[Document]) -> list[int]:
        return [document.n for document in batch]


@pytest.mark.parametrize("target", [numbers, blocking_numbers, Numbers])
def test_a_call_takes_a_list_of_params_and_answers_for_each(target: Callable[..., Any]) -> None:
    assert answer(target, {"n": 3}, {"n": 1}, {"n": 2}) == [3, 1, 2]


@pytest.mark.parametrize("target", [numbers, blocking_numbers, Numbers])
def test_an_execution_alone_is_a_batch_of_one(target: Callable[..., Any]) -> None:
    assert run(spec(target), *contexts({"n": 3})) == 3
    with pytest.raises(ParamsError):
        run(spec(target), *contexts({}))


def test_plain_params_need_no_type() -> None:
    async def plain(batch: list[dict[str, Any]]) -> list[Any]:
        return batch

    async def bare(batch: list) -> list[Any]:  # type: ignore[type-arg] # as people write it
        return batch

    async def untyped(batch) -> list[Any]:  # type: ignore[no-untyped-def] # as people write it
        return list(batch)

    for target in (plain, bare, untyped):
        assert answer(target, {"a": 1}, {}) == [{"a": 1}, {}]


@pytest.mark.parametrize("target", [numbers, blocking_numbers])
def test_params_that_do_not_fit_are_the_fault_of_one(target: Callable[..., Any]) -> None:
    first, wrong, last = answer(target, {"n": 1}, {"n": "x"}, {"n": 3})
    assert (first, last) == (1, 3)
    assert isinstance(wrong, ParamsError)


@pytest.mark.parametrize("target", [numbers, blocking_numbers])
def test_nobody_is_called_for_nothing_but_wrong_params(target: Callable[..., Any]) -> None:
    assert [type(each) for each in answer(target, {}, {})] == [ParamsError, ParamsError]


def test_no_answer_is_success_for_all() -> None:
    async def silent(batch: list[Document]) -> None: ...

    assert answer(silent, {"n": 1}, {"n": 2}) == [None, None]


def test_an_exception_in_the_answer_is_that_of_one() -> None:
    async def some(batch: list[Document]) -> list[Any]:
        return [None, RetryLater(5), ValueError("no")]

    fine, later, failed = answer(some, {"n": 1}, {"n": 2}, {"n": 3})
    assert (fine, type(later), str(failed)) == (None, RetryLater, "no")


@pytest.mark.parametrize("is_async", [True, False])
def test_an_exception_of_the_call_is_that_of_all_it_was_given(is_async: bool) -> None:
    def fails(batch: list[Document]) -> None:
        raise ValueError("all of you")

    async def fails_later(batch: list[Document]) -> None:
        fails(batch)

    first, wrong, last = answer(fails_later if is_async else fails, {"n": 1}, {}, {"n": 3})
    assert str(first) == str(last) == "all of you"
    assert isinstance(wrong, ParamsError)


def test_what_asyncio_gather_hands_out_is_the_failure_of_one() -> None:
    async def gathers(batch: list[Document]) -> list[Any]:
        async def each(document: Document) -> int:
            if document.n == 2:
                raise asyncio.CancelledError
            return document.n

        return await asyncio.gather(*map(each, batch), return_exceptions=True)

    first, second = answer(gathers, {"n": 1}, {"n": 2})
    assert first == 1
    assert isinstance(second, SchedulerError)
    assert str(second) == "The handler ended this execution with CancelledError."


@pytest.mark.parametrize(
    ("value", "said"),
    [([], "0 outcomes"), ([1, 2, 3], "3 outcomes"), ({"1": 1, "2": 2}, "an object of type dict"), ("ok", "type str")],
)
def test_an_answer_that_is_none_fails_them_all_in_words(value: Any, said: str) -> None:
    def wrong(batch: list[Document]) -> Any:
        return value

    for each in answer(wrong, {"n": 1}, {"n": 2}):
        assert isinstance(each, SchedulerError)
        assert said in str(each)
        assert "for a batch of 2: return None, or a list with a result or an exception for each" in str(each)


def test_the_executions_of_a_batch_are_known_in_its_order() -> None:
    def ids(batch: list[Document]) -> list[Any]:
        assert [execution.params for execution in current_batch()] == batch
        return [execution.id for execution in current_batch()]

    first, wrong, last = answer(ids, {"n": 1}, {}, {"n": 3})
    assert (first, last) == (1, 3)
    assert isinstance(wrong, ParamsError)
    assert run(spec(ids), *contexts({"n": 3})) == 1


def test_one_execution_is_not_what_runs_in_a_batch() -> None:
    def asks(batch: list[Document]) -> int:
        return current_execution().id

    (failed,) = answer(asks, {"n": 1})
    assert str(failed) == "A batch is running here, not one execution: current_batch() lists its executions."


def test_an_ordinary_handler_is_a_batch_of_its_own() -> None:
    def asks() -> list[int]:
        return [execution.id for execution in current_batch()]

    assert run(declare("asks", asks, "here", {}), *contexts({})) == [1]
    with pytest.raises(SchedulerError, match=r"call current_batch\(\) inside a handler"):
        current_batch()


def test_what_was_declared() -> None:
    declared = spec(numbers, batch_size=100, batch_wait_seconds=0.5).batching
    assert declared is not None
    assert (declared.size, declared.wait_seconds) == (100, 0.5)
    assert declare("one", lambda_free, "here", {}).batching is None


async def lambda_free(params: dict[str, Any]) -> None: ...


async def takes_nothing() -> None: ...


async def takes_one(params: Document) -> None: ...


@dataclass
class Row:
    n: int


async def takes_a_dict(params: dict[str, Any]) -> None: ...


class Asked(BaseHandler):
    async def execute(self, batch: list[Row]) -> None: ...

    def handle_error(self, error: Exception, execution: ExecutionContext) -> Awaitable[None] | None:
        return None


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        (numbers, {"batch_size": 0}, "batch_size must be a whole number from 1 to 1000"),
        (numbers, {"batch_size": 1001}, "batch_size must be a whole number from 1 to 1000"),
        (numbers, {"batch_size": 2.5}, "batch_size must be a whole number from 1 to 1000"),
        (numbers, {"batch_size": True}, "batch_size must be a whole number from 1 to 1000"),
        (numbers, {"batch_wait_seconds": -1}, "batch_wait_seconds must be a number from 0 to 60"),
        (numbers, {"batch_wait_seconds": 61}, "batch_wait_seconds must be a number from 0 to 60"),
        (numbers, {"batch_wait_seconds": float("nan")}, "batch_wait_seconds must be a number from 0 to 60"),
        (numbers, {"batch_wait_seconds": "soon"}, "batch_wait_seconds must be a number from 0 to 60"),
        (numbers, {"batch_size": None, "batch_wait_seconds": 1}, "batch_wait_seconds needs batch_size"),
        (numbers, {"run_in": "process"}, 'leave run_in="process" out'),
        (numbers, {"transactional": ["default"]}, "one commit can't carry them all"),
        (takes_nothing, {}, "takes nothing: write `batch: list[…]`"),
        (takes_one, {}, "takes the params of one execution: write `batch: list[…]`"),
        (takes_a_dict, {}, "takes the params of one execution: write `batch: list[…]`"),
        (Asked, {}, "return an exception for each that failed"),
    ],
)
def test_what_can_not_work_is_refused(target: Callable[..., Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        spec(target, **options)
    assert said in str(refused.value)
    assert str(refused.value).startswith("Handler 'index' (jobs.py:7)")
