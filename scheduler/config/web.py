"""`web`: the HTTP API."""

from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from scheduler.config.values import Count, Names, Port, Seconds, Section, Text

_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_KIB: Final = 1_024


def _bytes(given: object) -> object:
    """YAML's `true` is 1 to Python."""
    if isinstance(given, bool):
        raise ValueError("must be a number of bytes, not true or false")  # noqa: TRY004 - pydantic collects ValueErrors only
    return given


def is_loopback(host: str) -> bool:
    """Whether nobody but this host reaches what listens there, or goes by that name."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class WebSettings(Section):
    """`web`: what `scheduler web` and `scheduler run --web` serve."""

    host: Text = "127.0.0.1"
    """The address of this host to listen at. Anything but the loopback demands tokens: `scheduler web token add`."""
    port: Port = 8080
    """0: any free port, which the log names."""
    require_token: bool = False
    """Demand a token on the loopback address too; elsewhere, and with other `allowed_hosts`, one is always needed."""
    allowed_hosts: Names = Field(default_factory=list)
    """Names by which clients may call this server (their `Host` header), beside the loopback's and `host` itself."""
    max_body_bytes: Annotated[int, BeforeValidator(_bytes), Field(ge=_KIB, le=256 * _KIB * _KIB)] = 8 * _KIB * _KIB
    """The largest request that is read."""
    redact: Names = Field(
        default=["password", "passwd", "secret", "token", "api_key", "authorization", "credential", "private_key"]
    )
    """Params and results whose key holds one of these words, in any case, are shown as `[redacted]`."""
    statement_timeout_seconds: Seconds = 10.0
    """The longest that the job database may take for a request."""
    connections: Count = 8
    """Connections to the job database; more requests than these wait for their turn."""
    max_streams: Count = 100
    """Streams of events that may be open at once."""

    @property
    def needs_token(self) -> bool:
        """A name that isn't the loopback's means that somebody else's requests are let through to it."""
        return self.require_token or not all(is_loopback(name) for name in (self.host, *self.allowed_hosts))
