"""Sends an e-mail: into the folder outbox/ as an .eml file, or by SMTP as soon as SMTP_URL says where.

    SELECT enqueue_job('email', '{"to": "ada@example.com", "subject": "Hello", "body": "It works."}');

    SMTP_URL=smtp://user:password@mail.example.com:587     encrypted by STARTTLS, without which no password is sent
    SMTP_URL=smtps://user:password@mail.example.com        encrypted from the first byte, on port 465
    MAIL_FROM="Shop <shop@example.com>"                    who it is from

A worker that dies right after sending sends again: then both mails carry the same Message-ID, and readers show one.
"""

import os
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, Field

from scheduler import BaseHandler, ControlFlow, ExecutionContext, FailPermanently, current_execution, handler

OUTBOX = Path("outbox")
PORTS = {"smtp": 25, "smtps": 465}
LONGEST_WAIT = 30.0  # seconds for each answer of the server

Recipient = Annotated[str, Field(pattern=r"^[^@\s<>,;:]+@[^@\s<>,;:]+$", max_length=254)]
Line = Annotated[str, Field(pattern=r"^[^\r\n]*$", max_length=900)]


class EmailParams(BaseModel):
    to: Recipient | Annotated[list[Recipient], Field(min_length=1, max_length=100)]
    subject: Line = "A message from the scheduler"
    body: str = ""

    @property
    def recipients(self) -> list[str]:
        return [self.to] if isinstance(self.to, str) else self.to


@handler("email", timeout=120, max_retry=5, retry_delay=10)
class EmailHandler(BaseHandler):
    """A `def`: it runs in a thread, where waiting for a mail server blocks nobody else."""

    def execute(self, params: EmailParams) -> dict[str, Any]:
        execution = current_execution()
        message = composed(params, execution)
        sent: dict[str, Any] = {"message_id": message["Message-ID"]}
        if url := os.environ.get("SMTP_URL"):
            refused = deliver(message, urlsplit(url), min(LONGEST_WAIT, execution.remaining()))
            return {**sent, "refused": refused} if refused else sent
        return {**sent, "file": str(keep(message, f"{execution.id}.eml"))}

    def handle_error(self, error: Exception, execution: ExecutionContext) -> ControlFlow | None:
        """Codes from 500 are the server's last word; anything else is worth another try."""
        codes = refusals(error)
        if codes and min(codes) >= 500:
            return FailPermanently(f"The mail server refuses it for good: {error}")
        return None


def composed(params: EmailParams, execution: ExecutionContext) -> EmailMessage:
    """The same message at every attempt: all of it comes from the row."""
    name, sender = parseaddr(os.environ.get("MAIL_FROM", "Scheduler <scheduler@localhost>"))
    asked = execution.scheduled_at
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(name, addr_spec=sender)
    message["To"] = [Address(addr_spec=recipient) for recipient in params.recipients]
    message["Subject"] = params.subject
    message["Date"] = format_datetime(asked)
    message["Message-ID"] = f"<execution-{execution.id}.{asked:%Y%m%d%H%M%S}@{sender.rpartition('@')[2]}>"
    message.set_content(params.body)
    return message


def keep(message: EmailMessage, name: str) -> Path:
    """Written under another name first, so that nobody ever reads half a message."""
    OUTBOX.mkdir(exist_ok=True)
    file, draft = OUTBOX / name, OUTBOX / f".{name}.draft"
    draft.write_bytes(bytes(message))
    return draft.replace(file)


def deliver(message: EmailMessage, url: SplitResult, wait: float) -> list[str]:
    """Send it. Returns the recipients that were refused, where others were not."""
    if url.scheme not in PORTS or not url.hostname:
        raise FailPermanently(
            "SMTP_URL can't be used: write smtp://user:password@host:587 or smtps://user:password@host."
        )
    with connected(url, url.hostname, wait) as server:
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        return sorted(server.send_message(message))


def connected(url: SplitResult, host: str, wait: float) -> smtplib.SMTP:
    port = url.port or PORTS[url.scheme]
    context = ssl.create_default_context()
    if url.scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=wait, context=context)
    server = smtplib.SMTP(host, port, timeout=wait)
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=context)
    elif url.username:
        server.close()
        raise FailPermanently(f"The mail server {host} offers no STARTTLS, and a password is not sent in the clear.")
    return server


def refusals(error: Exception) -> list[int]:
    match error:
        case smtplib.SMTPRecipientsRefused():
            return [code for code, _ in error.recipients.values()]
        case smtplib.SMTPResponseException():
            return [error.smtp_code]
        case _:
            return []
