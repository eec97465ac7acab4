"""targets: who is told of alerts, as the settings name them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Webhook:
    """Gets JSON by POST, signed if there is a secret."""

    url: str
    secret: str | None = None
    private: bool = False
    """It may be at an address that is not public, and without encryption."""


@dataclass(frozen=True, slots=True)
class Slack:
    """Gets `{"text": …}` by POST, as Slack, Mattermost and others understand it."""

    url: str
    private: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """Gets e-mail, by a server of yours."""

    server: str
    """smtp://user:password@host:port, encrypted by STARTTLS where the server can, or smtps://."""
    sender: str
    recipients: Sequence[str]


Target = Webhook | Slack | Mail
