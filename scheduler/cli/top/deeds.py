"""deeds: what was asked for with a key, by the operations that every other command uses."""

from scheduler.cli.top.view import Deed, Order
from scheduler.model import Status
from scheduler.operations import queues
from scheduler.operations.bulk import Action, Result, act
from scheduler.store.session import SyncSession


def carry_out(session: SyncSession, order: Order) -> str:
    """What came of it, as a sentence. Raises what these operations raise."""
    match order.deed:
        case Deed.PAUSE:
            queues.pause(session, str(order.target), reason="paused in scheduler top")
            return f"The queue {order.target} is paused."
        case Deed.RESUME:
            queues.resume(session, str(order.target))
            return f"The queue {order.target} goes on."
        case Deed.CANCEL | Deed.RETRY:
            action = Action.CANCEL if order.deed is Deed.CANCEL else Action.RETRY
            return _acted(session, action, int(order.target))


def _acted(session: SyncSession, action: Action, id_: int) -> str:
    reason = "cancelled in scheduler top" if action is Action.CANCEL else None
    (answer,) = next(act(session, action, [id_], reason=reason))
    if answer.result is not Result.DONE:
        return answer.why or f"Execution {id_} has changed meanwhile: it is {answer.status or 'gone'}."
    if action is Action.CANCEL and answer.status == Status.RUNNING:
        return f"Execution {id_} is asked to stop."
    return f"Execution {id_} is {answer.status}."
