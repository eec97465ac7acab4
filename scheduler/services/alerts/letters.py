"""letters: an alert as each kind of target wants to read it."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final, Literal

from pydantic import BaseModel

_PREFIX: Final = "whsec_"


class AlertNews(BaseModel):
    """The params of an execution of `scheduler.alert`."""

    class Alert(BaseModel):
        id: int
        rule: str
        subject: str
        message: str
        number: float
        opened_at: float

    target: str
    state: Literal["opened", "closed"]
    alert: Alert

    @property
    def title(self) -> str:
        return f"{'Alert' if self.state == 'opened' else 'Over'}: {self.alert.message}"

    @property
    def id(self) -> str:
        """The same however often it is sent."""
        return f"alert-{self.alert.id}-{self.state}"


def event(news: AlertNews) -> bytes:
    """What a webhook gets."""
    alert: dict[str, Any] = news.alert.model_dump()
    alert["opened_at"] = _time(news.alert.opened_at).isoformat()
    return json.dumps({"type": f"alert.{news.state}", "data": alert}, ensure_ascii=False).encode()


def signature_headers(news: AlertNews, body: bytes, secret: str | None, now: int) -> dict[str, str]:
    """Those of standardwebhooks.com; `now` in Unix seconds. Without a secret, nothing is signed."""
    headers = {"webhook-id": news.id, "webhook-timestamp": str(now)}
    if secret is not None:
        signed = hmac.digest(signing_key(secret), f"{news.id}.{now}.".encode() + body, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return headers


def signing_key(secret: str) -> bytes:
    """A secret of the standard's form is base64 behind its prefix; any other is taken as it is."""
    if secret.startswith(_PREFIX):
        return base64.b64decode(secret.removeprefix(_PREFIX))
    return secret.encode()


def slack_text(news: AlertNews) -> bytes:
    """Its three special characters are escaped, so that no name makes a link or calls a channel."""
    text = news.title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return json.dumps({"text": text}).encode()


def mail(news: AlertNews, sender: str, recipients: str) -> EmailMessage:
    """Sent twice, it carries the same Message-ID, and readers show one."""
    message = EmailMessage(SMTP)
    message["From"], message["To"] = sender, recipients
    message["Subject"] = " ".join(news.title.split())[:200]
    message["Message-ID"] = f"<{news.id}-{int(news.alert.opened_at * 1000)}@scheduler>"
    since = f"{_time(news.alert.opened_at):%Y-%m-%d %H:%M:%S} UTC"
    message.set_content(f"{news.title}\n\nrule: {news.alert.rule}\nsince: {since}\nalert: {news.alert.id}\n")
    return message


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
