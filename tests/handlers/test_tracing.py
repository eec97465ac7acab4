"""Spans of attempts, and how the context gets there from where the work was enqueued."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, ConfigDict

from scheduler.client.new_execution import many_executions, new_execution
from scheduler.errors import FailPermanently, ParamsError, Snooze
from scheduler.handlers import BatchContext, ExecutionContext, HandlerOptions, HandlerSpec, declare
from scheduler.handlers.tracing import carrying, without
from tests.store.tables import claim

PROVIDER = TracerProvider()
EXPORTER = InMemorySpanExporter()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))
CARRIED = '"_trace": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}'


@pytest.fixture(autouse=True)
def tracer(monkeypatch: pytest.MonkeyPatch) -> Iterator[trace.Tracer]:
    """Ours is the provider for this test alone."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: PROVIDER)
    EXPORTER.clear()
    yield PROVIDER.get_tracer("test")
    EXPORTER.clear()


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    to: str


def context(params: str) -> ExecutionContext:
    return ExecutionContext(claim(params_text=params), 1e12)


def called(spec: HandlerSpec, context: ExecutionContext) -> None:
    """As a thread of its own would, in a context that ends with the call."""
    copy_context().run(spec.call, context)


def only() -> ReadableSpan:
    (span,) = (each for each in EXPORTER.get_finished_spans() if each.name.startswith("execute "))
    return span


def test_the_context_travels_in_the_params_and_the_handler_never_sees_it(tracer: trace.Tracer) -> None:
    seen: list[Any] = []

    def email(params: Strict) -> None:
        seen.append((params, trace.get_current_span().get_span_context().span_id))

    with tracer.start_as_current_span("request") as request:
        row = new_execution("email", {"to": "ada"}, {})
    called(declare("email", email, "here", HandlerOptions()), context(row.handler_params))
    span = only()
    assert span.context is not None
    assert seen == [(Strict(to="ada"), span.context.span_id)]
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.context.trace_id == request.get_span_context().trace_id
    assert span.attributes is not None
    assert (span.attributes["scheduler.handler"], span.attributes["scheduler.execution.id"]) == ("work", 1)
    assert span.status.status_code is trace.StatusCode.UNSET


async def test_what_an_async_handler_enqueues_belongs_to_its_own_span() -> None:
    async def work(params: dict[str, Any]) -> str:
        return new_execution("next", params, {}).handler_params

    text = await declare("work", work, "here", HandlerOptions()).call(context('{"n": 1}'))
    made = only().context
    assert made is not None
    span_id = f"{made.span_id:016x}"
    assert json.loads(text)["n"] == 1
    assert json.loads(text)["_trace"]["traceparent"].split("-")[2] == span_id


def raising(error: Exception) -> HandlerSpec:
    def work() -> None:
        raise error

    return declare("work", work, "here", HandlerOptions())


def test_a_fault_is_one_and_its_words_are_not_told() -> None:
    with pytest.raises(ValueError, match="hunter2"):
        called(raising(ValueError("hunter2")), context("{}"))
    assert only().status.status_code is trace.StatusCode.ERROR
    assert "hunter2" not in only().to_json()
    assert '"ValueError"' in only().to_json()


@pytest.mark.parametrize(("error", "status"), [(Snooze(5), "UNSET"), (FailPermanently("no"), "ERROR")])
def test_a_decision_is_no_fault_unless_it_fails(error: Exception, status: str) -> None:
    with pytest.raises(type(error)):
        called(raising(error), context("{}"))
    assert only().status.status_code.name == status


def test_params_that_do_not_fit_end_the_span_too() -> None:
    def work(params: Strict) -> None:
        raise AssertionError("it is never called")

    with pytest.raises(ParamsError):
        called(declare("work", work, "here", HandlerOptions()), context("{" + CARRIED + ', "two": 1}'))
    assert only().status.status_code is trace.StatusCode.ERROR


def test_a_batch_links_to_all_who_enqueued_for_it() -> None:
    def work(batch: list[Strict]) -> None:
        assert [params.to for params in batch] == ["a", "b"]

    members = [context(f'{{"to": "{name}", {CARRIED}}}') for name in "ab"]
    called(declare("work", work, "here", HandlerOptions(batch_size=2)), BatchContext(members))
    assert [link.context.span_id for link in only().links] == [0xB7AD6B7169203331] * 2


def test_each_of_many_carries_it(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("request"):
        rows = list(many_executions("email", [{"to": "a"}, {}], {}))
    assert [list(json.loads(params)) for _, params in rows] == [["_trace", "to"], ["_trace"]]


def test_without_a_span_nothing_is_carried() -> None:
    assert carrying('{"a": 1}') == '{"a": 1}'
    assert carrying("[1]") == "[1]"


def test_what_came_with_the_params_stays(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("request"):
        assert carrying("{" + CARRIED + "}") == "{" + CARRIED + "}"


@pytest.mark.parametrize(
    ("params", "left"),
    [
        ("{%s}", "{}"),
        ('{%s, "a": 1.10}', '{"a": 1.10}'),
        ('{"a": 1e400, %s}', '{"a": 1e400}'),
        ('{ "a":[{}] , %s, "b": {"_trace": 1} }', '{ "a":[{}] , "b": {"_trace": 1} }'),
    ],
)
def test_every_other_character_stays(params: str, left: str) -> None:
    assert without(params % CARRIED) == left


@pytest.mark.parametrize(
    "params", ['["_trace"]', '"_trace"', '{"a": {"_trace": 1}}', '{"a": "\\"_trace\\""}', '{"_trace"', "{,"]
)
def test_what_has_none_at_the_top_stays_whole(params: str) -> None:
    assert without(params) == params


def test_who_does_not_use_it_does_not_load_it() -> None:
    code = "import scheduler.client, scheduler.handlers, sys; sys.exit('opentelemetry.trace' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
