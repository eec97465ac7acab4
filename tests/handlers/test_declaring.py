"""What @handler accepts, refuses and remembers."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pytest
from pydantic import BaseModel

from scheduler.errors import ConfigurationError, HandlerNotFoundError
from scheduler.handlers import BaseHandler, HandlerOptions, HandlerRegistry, HandlerSpec, declare, handler
from scheduler.handlers.registry import declared_in
from scheduler.model import Backoff, HandlerPolicy


async def email(params: dict[str, Any]) -> None: ...


def report(params: dict[str, Any]) -> None: ...


def spec(target: Callable[..., Any] = email, name: str = "email", **options: Any) -> HandlerSpec:
    return declare(name, target, "jobs.py:7", HandlerOptions(**options))  # type: ignore[typeddict-item] # wrong ones too


def test_the_decorator_leaves_its_target_alone_and_notes_the_place() -> None:
    async def send(params: dict[str, Any]) -> None: ...

    assert handler("noted.send", timeout=30)(send) is send
    (found,) = [spec for spec in declared_in([__name__]) if spec.name == "noted.send"]
    assert found.target is send
    assert re.fullmatch(r".*test_declaring\.py:\d+", found.where)


def test_defaults_follow_the_form() -> None:
    assert spec(email).run_in == "task"
    assert spec(report).run_in == "thread"
    assert spec(email, run_in="thread").run_in == "thread"
    assert spec(email).policy == HandlerPolicy()
    assert spec(email).policy.as_json() == {}


def test_options_become_the_policy() -> None:
    declared = spec(timeout=30, max_retry=5, retry_backoff="linear", retry_delay=1, transactional=["default"])
    assert declared.policy == HandlerPolicy(30.0, 5, Backoff.LINEAR, 1.0)
    assert declared.transactional == ("default",)


@pytest.mark.parametrize("name", ["a", "Email", "email.send", "email-2", "x" * 100])
def test_names_that_can_be_used(name: str) -> None:
    assert spec(name=name).name == name


@pytest.mark.parametrize("name", ["", "2nd", "_x", "a b", "a\n", "é", "x" * 101, "os:system", "../x"])
def test_names_that_can_not(name: str) -> None:
    with pytest.raises(ConfigurationError, match="write a letter, then up to 99"):
        spec(name=name)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timout": 3}, "no option 'timout'. Did you mean 'timeout'?"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"timeout": float("inf")}, "timeout must be a number of seconds above 0"),
        ({"timeout": "30"}, "timeout must be a number of seconds above 0"),
        ({"timeout": True}, "timeout must be a number of seconds above 0"),
        ({"max_retry": -1}, "max_retry must be a whole number from 0 to 1000"),
        ({"max_retry": 1.5}, "max_retry must be a whole number from 0 to 1000"),
        ({"retry_delay": 90_000}, "retry_delay must be a number of seconds from 0 to 86400"),
        ({"retry_delay": float("nan")}, "retry_delay must be a number of seconds from 0 to 86400"),
        ({"retry_backoff": "exponental"}, "retry_backoff can't be 'exponental'. Did you mean 'exponential'?"),
        ({"run_in": "thred"}, "run_in can't be 'thred'. Did you mean 'thread'?"),
        ({"run_in": ["task"]}, "run_in can't be ['task']"),
        ({"max_memory_mb": 100}, 'max_memory_mb needs run_in="process"'),
        ({"run_in": "process", "max_memory_mb": 15}, "max_memory_mb must be a number of MiB from 16 to 1048576."),
        ({"run_in": "process", "max_memory_mb": float("inf")}, "max_memory_mb must be a number of MiB from 16 to"),
        ({"run_in": "process", "max_memory_mb": True}, "max_memory_mb must be a number of MiB from 16 to"),
        ({"transactional": "default"}, 'like ["default", "business"]'),
        ({"transactional": ["a", "a"]}, "names a database twice: a, a"),
        ({"transactional": None}, 'like ["default", "business"]'),
    ],
)
def test_options_that_can_not_work_are_refused_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)) as refused:
        spec(**options)
    assert str(refused.value).startswith("Handler 'email' (jobs.py:7)")


def test_a_process_may_be_limited() -> None:
    assert spec(report, run_in="process").max_memory_mb is None
    assert spec(report, run_in="process", max_memory_mb=200).max_memory_mb == 200.0


def test_a_blocking_def_may_not_run_in_the_loop() -> None:
    with pytest.raises(ConfigurationError, match="would block the worker's event loop"):
        spec(report, run_in="task")


class NoBase:
    async def execute(self, params: dict[str, Any]) -> None: ...


class NoExecute(BaseHandler): ...


class NeedsArguments(BaseHandler):
    def __init__(self, smtp: str) -> None: ...

    async def execute(self, params: dict[str, Any]) -> None: ...


class Static(BaseHandler):
    @staticmethod
    async def execute(params: dict[str, Any]) -> None: ...


class MixedHook(BaseHandler):
    def execute(self, params: dict[str, Any]) -> None: ...

    async def handle_error(self, error: Exception, execution: object) -> None: ...


def two(params: dict[str, Any], more: int) -> None: ...


def keyword_only(*, params: dict[str, Any]) -> None: ...


def only_keywords(**params: Any) -> None: ...


def generator(params: dict[str, Any]) -> Iterator[int]:
    yield 1


async def async_generator(params: dict[str, Any]) -> AsyncIterator[int]:
    yield 1


def unknown_type(params: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821 - this is what is refused


def not_a_model(params: NoBase) -> None: ...


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (NoBase, "must derive from BaseHandler"),
        (NoExecute, "has no execute"),
        (NeedsArguments, "must be constructible without arguments"),
        (Static, "`execute` as an ordinary method"),
        (MixedHook, "async handle_error beside a def execute"),
        (two, "needs more than params (more)"),
        (keyword_only, "needs more than params (params)"),
        (only_keywords, "can't be given its params"),
        (generator, "write return, not yield"),
        (async_generator, "write return, not yield"),
        (unknown_type, "declares its params as 'Nowhere', which can't be resolved"),
        (not_a_model, "declares params of a type that can't be validated"),
        (42, "is neither a class nor a function"),
    ],
)
def test_targets_that_can_not_be_called_are_refused(target: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        spec(target)


def test_the_decorator_without_a_name_says_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match=re.escape('write @handler("name")')):
        handler(email)  # type: ignore[arg-type]


class Model(BaseModel):
    to: str


@dataclass
class Data:
    to: str


def test_params_of_many_forms() -> None:
    def late(params: "Model") -> None: ...
    def bare(params) -> None: ...  # type: ignore[no-untyped-def]
    def mapping(params: Mapping[str, Any]) -> None: ...
    def data(params: Data) -> None: ...
    def defaulted(params: Model | None = None, more: int = 1) -> None: ...
    def anything(*args: Any) -> None: ...

    text = '{"to": "a"}'
    assert spec(late).decode(text) == Model(to="a")
    assert spec(bare).decode(text) == {"to": "a"}
    assert spec(mapping).decode(text) == {"to": "a"}
    assert spec(data).decode(text) == Data("a")
    assert spec(defaulted).decode(text) == Model(to="a")
    assert spec(anything).decode(text) == {"to": "a"}


def test_a_wrapped_function_keeps_the_type_of_its_params() -> None:
    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any) -> Any:
            return function(*args)

        return call

    @traced
    def send(params: "Model") -> None: ...

    assert spec(send).decode('{"to": "a"}') == Model(to="a")


def test_a_registry_finds_by_name_only() -> None:
    registry = HandlerRegistry([spec(email), spec(report, "report", max_retry=1)])
    assert registry.get("email").target is email
    assert registry.names == ["email", "report"]
    assert registry.policies_json() == {"report": {"max_retry": 1}}
    assert "report" in registry
    assert len(registry) == len(list(registry)) == 2
    with pytest.raises(HandlerNotFoundError, match="Did you mean 'email'"):
        registry.get("emial")


def test_two_handlers_of_one_name_are_refused_with_both_places() -> None:
    first, second = declare("email", email, "a.py:1", {}), declare("email", report, "b.py:2", {})
    with pytest.raises(ConfigurationError, match=r"'email': one at a\.py:1, one at b\.py:2"):
        HandlerRegistry([first, second])
