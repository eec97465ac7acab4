"""Enqueue from Python: `Client`, and `AsyncClient` for asyncio.

    enqueue(handler, params, …)
        │ new_execution     the handler's name, params as JSON, checked before anything is sent
        ▼
    connection=             written there, in the caller's own transaction
    inside transactional    written in that one, which has to be over the job database
    otherwise               written and committed at once

`store.enqueuing` writes and never commits; `transactional` joins the transaction that is open, or begins one and
commits it.
"""

from scheduler.client.async_client import AsyncClient
from scheduler.client.client import Client
from scheduler.client.new_execution import EnqueueOptions

__all__ = ["AsyncClient", "Client", "EnqueueOptions"]
