"""What a Redis server's errors mean, in sentences that say what to mend."""

import redis.exceptions as redis_errors

from scheduler.errors import BrokerError

_CLUSTERED = (
    redis_errors.MovedError, redis_errors.AskError, redis_errors.ClusterDownError, redis_errors.ClusterCrossSlotError,
)  # fmt: skip


def out_of_memory(error: BaseException | None) -> bool:
    """Old servers wrap what a script was refused for into another error."""
    return isinstance(error, redis_errors.OutOfMemoryError) or "OOM command not allowed" in str(error)


def explained(error: Exception, place: str, queue: str) -> BrokerError:
    """`place` names the server, without its password."""
    return BrokerError(f"Message queue {queue!r}: {_sentence(error, f'Redis at {place}', queue)}")


def _sentence(error: Exception, server: str, queue: str) -> str:
    said = str(error).partition("\n")[0].rstrip(".")
    match error:
        case redis_errors.NoPermissionError():
            return f"{server} lacks a right for its user ({said}): allow ~{queue} and ~{{{queue}}}:* with +@all."
        case redis_errors.AuthenticationError() | redis_errors.AuthorizationError():
            return (
                f"{server} refuses user or password ({said}). Mend them in the url: redis://user:password@host:port/0."
            )
        case redis_errors.BusyLoadingError():
            return f"{server} still loads its data; trying again will do."
        case redis_errors.ReadOnlyError():
            return (
                f"{server} is a replica that takes no writes: let the url name the primary, or wait for the failover."
            )
        case redis_errors.MasterDownError():
            return (
                f"{server} is a replica that has lost its primary: wait for the failover, or let the url name another."
            )
        case redis_errors.ResponseError() if isinstance(error, _CLUSTERED):
            return (
                f"{server} is a node of a cluster without this queue ({said}): let the url name the node that has it."
            )
        case redis_errors.TimeoutError():
            return f"{server} does not answer in time. Is it overloaded, or is a firewall in between?"
        case redis_errors.ConnectionError():
            return f"{server} can't be reached ({said}). Does it run, and does the url name its host, port and TLS?"
        case _ if out_of_memory(error):
            return f"{server} is out of memory: nothing was published. Work off what waits, or raise its maxmemory."
        case _ if "MISCONF" in said:
            return f"{server} can't save its data, its disk may be full, and takes no writes until it can ({said})."
        case _ if "WRONGTYPE" in said:
            return f"{server} holds something else than a list under this name: give the queue another name."
        case _:
            return f"{server} refuses ({said})."
