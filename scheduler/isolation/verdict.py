"""How an attempt ended in a child process, told to its worker: a value, a decision, or a fault, as JSON both ways."""

import asyncio
from typing import Any

from scheduler.errors import CancelExecution, ControlFlow, FailPermanently, ParamsError, RetryLater, Snooze
from scheduler.handlers import describe_error, encode_result
from scheduler.handlers.faults import UNTELLABLE, ToldFault, clean_text, shown
from scheduler.handlers.results import EncodedResult, SettledResult
from scheduler.isolation.frames import Message


def told(value: Any, error: BaseException | None) -> Message:
    """In the child. Never raises."""
    try:
        return _told(value, error)
    except BaseException:  # attributes and types of what the handler left are its code too, and may raise anything
        return {"fault": (UNTELLABLE, "")}


def _told(value: Any, error: BaseException | None) -> Message:
    match error:
        case None:
            return {"settled" if isinstance(value, SettledResult) else "value": encode_result(value)}
        case asyncio.CancelledError():
            return {"cancelled": True}
        case RetryLater():
            return {"decision": "RetryLater", "delay": float(error.delay), "reason": clean_text(shown(error.reason))}
        case FailPermanently() | CancelExecution():
            kind = FailPermanently if isinstance(error, FailPermanently) else CancelExecution
            return {"decision": kind.__name__, "reason": clean_text(shown(error.reason))}
        case Snooze():
            return {"decision": "Snooze", "delay": float(error.delay)}
        case ParamsError():
            return {"params": clean_text(shown(error))}
        case _:
            return {"fault": describe_error(error)}


def heard(message: Message) -> EncodedResult | Exception | None:
    """In the worker: the result, the exception, or None for an attempt that was stopped."""
    match message:
        case {"settled": [text, changed]}:
            return SettledResult(text, changed)
        case {"value": [text, changed]}:
            return EncodedResult(text, changed)
        case {"decision": _}:
            return _decision(message)
        case {"params": text}:
            return ParamsError(text)
        case {"fault": [headline, traceback]}:
            return ToldFault(headline, traceback)
        case _:
            return None


def _decision(message: Message) -> ControlFlow:
    match message["decision"]:
        case "RetryLater":
            return RetryLater(message["delay"], message["reason"])
        case "FailPermanently":
            return FailPermanently(message["reason"])
        case "CancelExecution":
            return CancelExecution(message["reason"])
        case _:
            return Snooze(message["delay"])
