"""Every request, before anything reads it: by what name it calls us, who sends it, how much, and with what token."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fastapi import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.errors import SchedulerError
from scheduler.model import Role
from scheduler.web import problems
from scheduler.web.problems import Problem, answer

PUBLIC: Final = frozenset({"/live", "/ready", "/health"})
"""For probers, which know neither names nor tokens; they say nothing about anybody's work."""
_BODY_SECONDS: Final = 30.0
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str | None
    """Of the token; None: nobody said, which the loopback address allows."""
    role: Role

    @property
    def actor(self) -> str:
        return self.name or "http"


ANYBODY: Final = Principal(None, Role.ADMIN)
Identify = Callable[[str], Awaitable[Principal | None]]


@dataclass(frozen=True, slots=True)
class Rules:
    hosts: frozenset[str]
    """Lower-case names without ports; any where it is empty."""
    needs_token: bool
    max_body_bytes: int


class Guard:
    """ASGI middleware. Whom it lets in is `scope["state"]["principal"]`."""

    def __init__(self, app: ASGIApp, rules: Rules, identify: Identify) -> None:
        self._app, self._rules, self._identify = app, rules, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        try:
            headers = Headers(scope=scope)
            if scope["path"] not in PUBLIC:
                self._check(scope["method"], headers)
                scope.setdefault("state", {})["principal"] = await self._principal(headers)
            body = await self._body(headers, receive)
        except Problem as refusal:
            await _refuse(answer(refusal.kind, refusal.detail, **refusal.more), scope, receive, send)
            return
        except SchedulerError as error:
            await _refuse(await problems.of_scheduler_error(None, error), scope, receive, send)  # type: ignore[arg-type]  # it looks at the error alone
            return
        await self._app(scope, _replayed(body, receive), send)

    def _check(self, method: str, headers: Headers) -> None:
        host = _name(headers.get("host", ""))
        if self._rules.hosts and host not in self._rules.hosts:
            raise Problem("unknown-host", f"This server is not called {host[:200]!r}: add it to web.allowed_hosts.")
        if method in _READS:
            return
        self._check_origin(headers)
        length = headers.get("content-length", "0")
        has_body = "transfer-encoding" in headers or length != "0"
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json" and (has_body or media):
            raise Problem("not-json", "Send JSON, with the header Content-Type: application/json.")

    @staticmethod
    def _check_origin(headers: Headers) -> None:
        """A browser says from which site something is sent; other programs don't."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        foreign = site is not None and site not in {"same-origin", "none"}
        if origin is not None:
            foreign = foreign or urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        if foreign:
            raise Problem(
                "foreign-origin", "Only pages of this server itself may send this: send it without a browser."
            )

    async def _principal(self, headers: Headers) -> Principal:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not scheme:
            if not self._rules.needs_token:
                return ANYBODY
            raise Problem(
                "token-required",
                "Send a token, as `Authorization: Bearer TOKEN`. `scheduler web token add` makes one.",
            )
        found = await self._identify(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Problem(
                "token-required",
                "This is no token, or it was removed or has expired: `scheduler web token add` makes one.",
            )
        return found

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        most = self._rules.max_body_bytes
        told = headers.get("content-length", "")
        too_large = Problem("too-large", f"Send at most {most:,} bytes (web.max_body_bytes), or several requests.")
        if told.isascii() and told.isdecimal() and (len(told) > 18 or int(told) > most):
            raise too_large
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        break
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
                    if size > most:
                        raise too_large
        except TimeoutError:
            raise Problem("too-slow", f"The body has to arrive within {_BODY_SECONDS:g} s: send it again.") from None
        return b"".join(parts)


def _name(host: str) -> str:
    """Without its port; a name may end with the root's dot."""
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def hosts_of(host: str, allowed: Sequence[str]) -> frozenset[str]:
    """The names that a server at `host` goes by."""
    return frozenset(
        _name(each) if ":" not in each else each.lower() for each in ("localhost", "127.0.0.1", "::1", host, *allowed)
    )


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What was read is given on as one message; after it comes whatever comes."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            ours = [(n.lower().encode(), v.encode()) for n, v in _HEADERS.items() if n.lower().encode() not in there]
            message = {**message, "headers": [*message.get("headers", []), *ours]}
        await send(message)

    return with_headers


async def _refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """What wasn't read of the body is nobody's: the connection ends with the answer."""
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
