"""Which database a client enqueues into, and by which pool."""

from scheduler.database import Database, DatabaseRegistry, block
from scheduler.database.database import DatabaseOptions
from scheduler.database.libpq import conninfo_from_url
from scheduler.database.reaching import described
from scheduler.errors import ConfigurationError, TransactionError
from scheduler.store.ends import Ends

_APPLICATION_NAME = "scheduler client"
_SCHEMA = "public"


class JobDatabase:
    """That of a url, by a pool of its own, or the registry's."""

    def __init__(self, url: str | None, schema: str | None) -> None:
        """Raises ConfigurationError on an unreadable url."""
        self._schema = schema
        self.own = None if url is None else Database(described(url), DatabaseOptions(url), _APPLICATION_NAME)
        """Named as nothing in a registry is, so that it is never taken for one of them."""
        self._ends: Ends | None = None

    def find(self) -> Database:
        """The registry's where it leads to the same place, for only that can be part of a `transactional`.

        Raises ConfigurationError where no url was given and the registry has no job database.
        """
        if self.own is not None:
            return _in_registry(self.own) or self.own
        job = DatabaseRegistry.job()
        if job is None:
            raise ConfigurationError(
                "Nothing says where to enqueue: give the client the url of the job database, or name it by "
                'DatabaseRegistry.configure({"default": url}).'
            )
        return job

    def apart(self, call: str) -> Database:
        """The same for what can't be part of a transaction. Raises TransactionError inside of one."""
        transaction = block.innermost()
        if transaction is not None and transaction.is_open:
            raise TransactionError(
                f"{call} inside of `transactional` would wait for what is only committed at its end: call it outside, "
                "or enqueue inside and wait for the id afterwards."
            )
        return self.find()

    def ends(self) -> Ends:
        """Where the ends of executions are heard of. Raises as `find()` does."""
        url, schema = self.find().options.url, self.schema
        if self._ends is None or (self._ends.url, self._ends.schema) != (url, schema):
            self.stop_listening()
            self._ends = Ends(url, schema)
        return self._ends

    def stop_listening(self) -> None:
        """The next who waits listens anew."""
        ends, self._ends = self._ends, None
        if ends is not None:
            ends.close()

    @property
    def schema(self) -> str:
        """That of the scheduler's tables: as given, or else as the registry says of its job database."""
        if self._schema is not None:
            return self._schema
        job = DatabaseRegistry.job() if self.own is None else None
        return _SCHEMA if job is None else job.options.schema


def _in_registry(database: Database) -> Database | None:
    place = conninfo_from_url(database.options.url)
    configured = (DatabaseRegistry.get(name) for name in DatabaseRegistry.names())
    return next((each for each in configured if conninfo_from_url(each.options.url) == place), None)
