"""The OpenAPI document: what each path answers when it refuses, and how a token is sent."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from scheduler.web.guard import PUBLIC
from scheduler.web.problems import KINDS, MEDIA_TYPE, TYPE

PATH: Final = "/api/v1/openapi.json"
_METHODS_WITH_BODY: Final = frozenset({"post", "patch", "delete"})
_OF_BODIES: Final = frozenset({413, 415})
_FAILED: Final = 424
_FULL: Final = 429
_NOWHERE: Final = frozenset({405, 500})
"""Of another method, and of a fault: no path promises them."""

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "enum": [TYPE + kind for kind in KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do next."},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"at": {"type": "string"}, "mistake": {"type": "string"}}},
        },
        "execution": {"type": "object", "description": "Of a call: what became of it."},
    },
}


def described(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, openapi_version="3.1.0", summary=app.summary, routes=app.routes
        )
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = _PROBLEM
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}, {}]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _add_refusals(path, method, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _add_refusals(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if path in PUBLIC:
        answers.pop("422", None)
        operation["security"] = []
        return
    for status in sorted({kind.status for kind in KINDS.values()} - _NOWHERE):
        if (
            (status in _OF_BODIES and method not in _METHODS_WITH_BODY)
            or (status == _FAILED and path != "/api/v1/call")
            or (status == _FULL and method == "get")
        ):
            continue
        answers[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
