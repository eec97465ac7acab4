"""Enqueue, wait and work from Python: `Client`, and `AsyncClient` for asyncio.

    enqueue, enqueue_many      new_execution   handler, params and options as rows to be, checked before they are sent
    call, wait, as_completed   pending         which rows to look at and when: listening is a hint, polling the truth
    watch, events              events          what is heard from now on
    get, cancel, retry, stats  questions       a statement and what its answer means: each is asked by both clients
    publish                    publishing      into a message queue, with no database at all
    register, claim, complete, fail, heartbeat the worker protocol in SQL

    connection=             written there, in the caller's own transaction
    inside transactional    written in that one, which has to be over the job database
    otherwise               written and committed at once

`store.callers` speaks on whatever connection it is given and never commits; `transactional` joins the transaction that
is open, or begins one and commits it. Waiting and claiming stand apart from any transaction.
"""

from scheduler.client.async_client import AsyncClient
from scheduler.client.client import Client
from scheduler.client.new_execution import EnqueueOptions, Item
from scheduler.client.nouns import Claimed, Execution, QueueStats

__all__ = ["AsyncClient", "Claimed", "Client", "EnqueueOptions", "Execution", "Item", "QueueStats"]
