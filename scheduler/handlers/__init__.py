"""What runs: handlers, how they are declared and found, and what one knows of its execution.

    signature   what a def or class says        params      JSON text → what it takes
    calling     a fresh object, its error hook  spec        all of it together: HandlerSpec
    registry    @handler, names → specs         discovery   folders and modules → registry
    context     current_execution()             results     what it returned, storable
    cron        when it runs by itself          faults      what it raised, storable
    batch       many executions in one call

Nothing here knows where a handler runs, nor of any table.
"""

from scheduler.handlers.base import BaseHandler
from scheduler.handlers.batch import BatchAnswer, Batching
from scheduler.handlers.context import BatchContext, ExecutionContext, Progress, current_batch, current_execution
from scheduler.handlers.cron import Cron
from scheduler.handlers.discovery import discover
from scheduler.handlers.faults import clean_text, describe_error
from scheduler.handlers.registry import HandlerRegistry, handler
from scheduler.handlers.results import encode_result
from scheduler.handlers.spec import HandlerOptions, HandlerSpec, RunIn, declare

__all__ = [
    "BaseHandler",
    "BatchAnswer",
    "BatchContext",
    "Batching",
    "Cron",
    "ExecutionContext",
    "HandlerOptions",
    "HandlerRegistry",
    "HandlerSpec",
    "Progress",
    "RunIn",
    "clean_text",
    "current_batch",
    "current_execution",
    "declare",
    "describe_error",
    "discover",
    "encode_result",
    "handler",
]
