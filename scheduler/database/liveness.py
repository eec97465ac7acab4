"""Whether a pooled connection still leads to a server: asked of the server only where that is in doubt."""

import select
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from scheduler.clock import monotonic

TRUSTED_SECONDS: Final = 1.0
"""What was used so lately, and has heard nothing since, is taken as it is: a question costs a round trip each time."""

_RETURNED: Final = "scheduler_returned_at"


def watch(engine: Engine) -> None:
    """Have each connection that the pool of `engine` gives out be alive; one that is not is opened anew."""

    def returned(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_RETURNED] = monotonic()

    def given_out(connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: object) -> None:
        since = record.info.pop(_RETURNED, None)
        if since is None or (monotonic() - since < TRUSTED_SECONDS and _is_quiet(record.driver_connection)):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", given_out)


def _is_quiet(driver: Any) -> bool:
    """Open, and nothing came since it was last used. A server that ends a connection says so, or closes it at least."""
    if driver.closed:
        return False
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return not poll.poll(0)
