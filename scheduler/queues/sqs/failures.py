"""What SQS's errors mean, in sentences that say what to mend."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
    TokenRetrievalError,
)

from scheduler.errors import BrokerError

FAILURES = (BotoCoreError, ClientError, OSError)
_BAD_CREDENTIALS = (
    "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "ExpiredToken",
    "InvalidAccessKeyId", "IncompleteSignature", "RequestExpired",
)  # fmt: skip
_FORBIDDEN = ("AccessDenied", "AccessDeniedException", "AuthorizationError")
_ABSENT = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
_STALE = (
    "ReceiptHandleIsInvalid",
    "MessageNotInflight",
    "InvalidParameterValue",
    "AWS.SimpleQueueService.MessageNotInflight",
)


def code(error: Exception) -> str:
    """SQS's word for what went wrong; empty where it said nothing."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_absent(error: Exception) -> bool:
    """Whether there is no such queue."""
    return code(error).endswith(_ABSENT)


def is_stale(word: str) -> bool:
    """Whether a receipt was refused as it isn't valid any more: the message has been settled, or comes again."""
    return word in _STALE


def explained(error: Exception, queue: str) -> BrokerError:
    return BrokerError(f"Message queue {queue!r}: {_sentence(error)}")


def _sentence(error: Exception) -> str:
    said = str(error).partition("\n")[0].rstrip(".")
    match error:
        case NoCredentialsError() | PartialCredentialsError() | ProfileNotFound() | TokenRetrievalError():
            return (
                f"Amazon SQS needs credentials ({said}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, "
                "or a role of the machine."
            )
        case NoRegionError():
            return "Amazon SQS needs a region: set AWS_DEFAULT_REGION, or ?region= in the driver's url."
        case SSLError():
            return f"Amazon SQS can't be trusted ({said}). Set AWS_CA_BUNDLE to the authority of its certificate."
        case ConnectTimeoutError() | ReadTimeoutError() | TimeoutError():
            return f"Amazon SQS doesn't answer in time ({said}). Is a firewall in between?"
        case ClientError() if code(error) in _BAD_CREDENTIALS:
            return f"Amazon SQS refuses the credentials ({said}). Renew them."
        case ClientError() if code(error) in _FORBIDDEN:
            return (
                f"Amazon SQS lacks a right for these credentials ({said}). Allow it in the policy of the user or role."
            )
        case ClientError() if is_absent(error):
            return "it was deleted; it is made anew when it is used next, which SQS allows after a minute."
        case ClientError():
            return f"Amazon SQS refuses ({said})."
        case _:
            return f"Amazon SQS can't be reached ({said}). Check the region and the driver's url."
