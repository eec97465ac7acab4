"""Which transaction is around the caller: the blocks entered in this context, innermost last."""

from contextvars import ContextVar
from typing import Final, TypeVar, cast

from scheduler.database.transaction import AsyncTransaction, SyncTransaction
from scheduler.errors import TransactionError

T = TypeVar("T", SyncTransaction, AsyncTransaction)
Block = tuple[SyncTransaction | AsyncTransaction, bool]

_blocks: Final[ContextVar[tuple[Block, ...]]] = ContextVar("transactional_blocks", default=())


def innermost() -> SyncTransaction | AsyncTransaction | None:
    """The transaction of the innermost block of this context. It may have ended: a task can outlive its parent's."""
    blocks = _blocks.get()
    return blocks[-1][0] if blocks else None


def enclosing(kind: type[T]) -> T | None:
    """The open transaction that a new block of this kind joins, or None.

    Raises TransactionError on one that it can't join: async in sync, sync in async, or of another event loop.
    """
    transaction = innermost()
    if transaction is None or not transaction.is_open:
        return None
    if not isinstance(transaction, kind) or not transaction.is_usable_here():
        raise TransactionError(
            "A transaction is already open around this one, but in the other form or in another event loop: use "
            "`async with` or AsyncClient inside of `async with`, `with` or Client inside of `with`, in the same loop."
        )
    return transaction


def around(call: str, name: str) -> SyncTransaction | AsyncTransaction:
    """The open transaction that `call`, for the database `name`, belongs to. Raises TransactionError without one."""
    transaction = innermost()
    if transaction is None:
        raise TransactionError(
            f'{call} was called outside of a transaction: put @transactional("{name}") on the '
            f'function, or use it inside of `async with transactional("{name}"):`.'
        )
    if not transaction.is_open:
        raise TransactionError(
            f"{call} was called in a task that outlived its transaction: "
            f'put @transactional("{name}") on the function that the task runs.'
        )
    if not transaction.is_usable_here():
        raise TransactionError(
            f"{call} was called in another thread, event loop or process than its transaction: "
            "use the connection where the transaction was opened."
        )
    return transaction


def enter(transaction: SyncTransaction | AsyncTransaction, *, joined: bool) -> None:
    _blocks.set((*_blocks.get(), (transaction, joined)))


def leave(kind: type[T]) -> tuple[T, bool]:
    """The transaction of the block that ends, of the kind it was entered with, and whether the block joined it."""
    *outer, block = _blocks.get()
    _blocks.set(tuple(outer))
    return cast("tuple[T, bool]", block)
