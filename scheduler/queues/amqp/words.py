"""What went wrong between us and RabbitMQ, in sentences."""

import ssl

from aio_pika.exceptions import AuthenticationError, InvalidFrameError, ProbableAuthenticationError, PublishError
from yarl import URL


def place(url: URL) -> str:
    return f"RabbitMQ at {url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)}"


def out_of_room(url: URL) -> str:
    return (
        f"{place(url)} takes no messages for the time being, as memory or disk is short there. "
        "Make room, or change vm_memory_high_watermark or disk_free_limit."
    )


def in_words(url: URL, error: BaseException) -> str:
    """What to mend; never the password."""
    tls = _tls_error(error)
    if tls is not None:
        return (
            f"{place(url)} can't be trusted: {tls}. "
            "Name its authority with ?cafile=… in the url, and its host as in the certificate."
        )
    if isinstance(error, ProbableAuthenticationError | AuthenticationError):
        return f"{place(url)} refuses user {url.user!r}: check the name and the password in the url."
    if isinstance(error, PublishError):
        return f"{place(url)} had lost queue {error.args[1]!r}; it is declared anew when it is used next."
    if isinstance(error, TimeoutError):
        return f"{place(url)} doesn't answer in time: check that it is up, and short of neither memory nor disk."
    if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error):  # all that the library keeps of it
        return (
            f"{place(url)} refuses virtual host {url.path[1:] or '/'!r} to user {url.user!r}: "
            "check that it is there, and the user's rights in it."
        )
    said = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, OSError):
        return f"{place(url)} can't be reached: {said}. Check the url, and that it is up."
    return f"{place(url)} refuses: {said}."


def _tls_error(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return str(getattr(error, "verify_message", "") or error.reason or error)
        error = error.__cause__
    return None
