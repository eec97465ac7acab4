"""mailing: one message, by a server that the settings name."""

import smtplib
import ssl
from email.message import EmailMessage
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from scheduler.errors import UndeliveredError

SECONDS: Final = 10.0
"""For each answer of the server."""
_PORTS: Final = {"smtp": 25, "smtps": 465}


def send(server: str, message: EmailMessage) -> None:
    """Raises UndeliveredError when the server refuses it for anybody, or can't be spoken to.

    A password is never sent without encryption.
    """
    parts = urlsplit(server)
    try:
        with _connected(parts) as connection:
            if parts.username:
                connection.login(unquote(parts.username), unquote(parts.password or ""))
            refused = connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise UndeliveredError(f"{parts.hostname} did not take the alert: {error}") from None
    if refused:
        raise UndeliveredError(f"{parts.hostname} took the alert, but not for {', '.join(sorted(refused))}.")


def _connected(parts: SplitResult) -> smtplib.SMTP:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
    connection = smtplib.SMTP(host, port, timeout=SECONDS)
    try:
        _encrypt(connection, context, required=bool(parts.username))
    except BaseException:
        connection.close()
        raise
    return connection


def _encrypt(connection: smtplib.SMTP, context: ssl.SSLContext, *, required: bool) -> None:
    connection.ehlo()
    if connection.has_extn("starttls"):
        connection.starttls(context=context)
    elif required:
        raise smtplib.SMTPNotSupportedError("it offers no encryption, and no password is sent without: use smtps://")
