"""At the start of a worker: whether its databases can do what its handlers ask of them."""

from collections.abc import Iterable, Iterator

from scheduler.database import Atomicity, DatabaseRegistry
from scheduler.database.two_phase import room_for_prepared
from scheduler.errors import ConfigurationError, did_you_mean
from scheduler.handlers import HandlerRegistry, HandlerSpec
from scheduler.messages import log


def require_atomic(handlers: HandlerRegistry, further: Iterable[str]) -> None:
    """Refuse handlers whose transactions can't be atomic, and warn of databases that can't take part in any.

    `further` are the databases that handlers may use, by name. One that can't be reached is not judged.
    Raises ConfigurationError.
    """
    declared = {name: spec for spec in handlers for name in _participants(spec)}
    for name in sorted(declared.keys() | set(further)):
        database = None if name not in DatabaseRegistry.names() else DatabaseRegistry.get(name)
        if database is None or database is DatabaseRegistry.job():
            continue
        if database.options.atomicity is Atomicity.TWO_PHASE and room_for_prepared(database) == 0:
            if name in declared:
                raise ConfigurationError(
                    f"{_what(declared[name])}: databases.{name} can't prepare transactions. "
                    "Set max_prepared_transactions = 64 on that server and restart it."
                )
            log("database.cannot_prepare", database=name)


def _participants(spec: HandlerSpec) -> Iterator[str]:
    """The databases of a transactional handler. Raises ConfigurationError for one that can't be."""
    for name in spec.transactional:
        if name not in (known := DatabaseRegistry.names()):
            raise ConfigurationError(
                f"{_what(spec)}: no database is configured as {name!r}.{did_you_mean(name, known)} "
                f"Known: {', '.join(known)}."
            )
        database = DatabaseRegistry.get(name)
        if database is not DatabaseRegistry.job() and database.options.atomicity is Atomicity.BEST_EFFORT:
            raise ConfigurationError(
                f"{_what(spec)}: databases.{name} has atomicity: best_effort, which would commit before SUCCESS does. "
                "Use two_phase, or open it inside, with `transactional(…)`."
            )
        yield name


def _what(spec: HandlerSpec) -> str:
    return f"Handler {spec.name!r} ({spec.where}) declares transactional={list(spec.transactional)}"
