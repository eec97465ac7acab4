"""The document, and whether the server keeps to it whatever it is sent."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scheduler.config.web import WebSettings
from scheduler.web.app import create_app
from scheduler.web.problems import KINDS
from tests.web.serving import Api

CHECKS: Final = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS: Final = ("/api/v1/executions/{id}/events", "/api/v1/queues/{name}/events")
OF_PROBERS: Final = ("/live", "/ready", "/health")
"""They say 503 where nobody works."""
EXAMPLES: Final = 8


def document() -> dict[str, Any]:
    def nobody() -> Any:
        raise AssertionError

    found = create_app(WebSettings(), nobody, "postgresql://nowhere/db", "public").openapi()
    call = found["components"]["schemas"]["Call"]
    call["properties"]["wait_seconds"] = {"const": 0.01}  # nobody answers
    call["required"].append("wait_seconds")
    return found


SCHEMA = schemathesis.openapi.from_dict(document())


def operations() -> Iterator[Any]:
    for result in SCHEMA.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # the other kind has no such method, and the test fails
        if operation.path not in (*ENDLESS, *OF_PROBERS):
            yield pytest.param(operation, id=f"{operation.method.upper()} {operation.path.removeprefix('/api/v1')}")


@pytest.mark.parametrize("operation", list(operations()))
def test_nothing_is_answered_that_the_document_does_not_say(api: Api, operation: Any) -> None:
    api.rows("INSERT INTO cron_jobs (name, cron_expression, handler_name) VALUES ('0', '@daily', 'h')")
    api.rows("INSERT INTO job_executions (handler_name, queue) VALUES ('h', '0')")
    kinds = [operation.as_strategy(GenerationMode.POSITIVE)]
    if operation.path != "/api/v1/call":  # which would wait for as long as it is told
        kinds.append(operation.as_strategy(GenerationMode.NEGATIVE))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(*kinds))
    def sent(case: Any) -> None:
        case.call_and_validate(base_url=api.url, checks=CHECKS)

    sent()


def test_every_refusal_has_one_type_and_a_title() -> None:
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)
    assert all(400 <= kind.status < 600 for kind in KINDS.values())
    assert document()["openapi"] == "3.1.0"


def test_every_path_says_what_it_refuses_with() -> None:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            if path not in OF_PROBERS:
                assert {"401", "403", "422", "503"} <= operation["responses"].keys(), (method, path)
