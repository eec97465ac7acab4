"""`scheduler queues publish`, and what `queues list` tells of message queues."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion, values
from scheduler.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scheduler.app import Project
    from scheduler.operations.messages import ConsumerStatus, MessageQueueStatus
    from scheduler.store.session import SyncSession

_QUEUE_HEADERS = ("message queue", "driver", "waiting", "delayed", "in flight", "dead", "told")
_CONSUMER_HEADERS = ("consumer", "reads", "handler", "waiting", "prefetch", "running", "concurrency", "starts")


def publish(
    queue: Annotated[
        str,
        typer.Argument(
            metavar="QUEUE", help="A name under queues: of the settings.", autocompletion=completion.message_queues
        ),
    ],
    message: Annotated[str, typer.Argument(metavar="MESSAGE_JSON", help="What the message says.")],
    id_: Annotated[
        str | None, typer.Option("--id", help="By which a consumer knows it when it comes twice; else made up.")
    ] = None,
    delay: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Not received before so long from now.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Put a message into a message queue; prints its id. The job database is not needed.

    Example: scheduler queues publish tasks '{"to": "ada@example.com"}'

    Example: scheduler queues publish tasks '{"order": 7}' --id order-7
    """
    import asyncio
    import json

    from scheduler.app.messaging import places
    from scheduler.cli.tables import print_json
    from scheduler.config import load_settings
    from scheduler.queues.payload import encode
    from scheduler.queues.registry import QueueRegistry

    body = encode(json.loads(values.json_text(message, "MESSAGE_JSON")))
    QueueRegistry.configure(places(load_settings(Path.cwd())))
    opened = QueueRegistry.open_to_publish(queue)

    async def put() -> str:
        try:
            return await opened.publish(body, id=id_, delay=delay)
        finally:
            await opened.close()

    given = asyncio.run(put())
    if as_json:
        print_json({"queue": queue, "id": given})
    else:
        typer.echo(given)


def look(project: "Project", session: "SyncSession") -> "tuple[list[MessageQueueStatus], list[ConsumerStatus]]":
    """The message queues and the consumers of the settings."""
    from scheduler.app.messaging import places
    from scheduler.operations.messages import ConsumerStatus, counted, statuses

    consumers = [
        ConsumerStatus(name, c.queue, c.handler, c.concurrency, c.prefetch, c.starts_itself)
        for name, c in project.settings.consumers.items()
    ]
    return statuses(places(project.settings)), counted(session, consumers)


def print_messages(queues: "Sequence[MessageQueueStatus]", consumers: "Sequence[ConsumerStatus]") -> None:
    """A table of each, where there are any."""
    from scheduler.cli.tables import print_table

    if queues:
        rows = ((q.name, f"{q.driver} ({q.kind})", q.waiting, q.delayed, q.in_flight, q.dead, _told(q)) for q in queues)
        print_table(_QUEUE_HEADERS, rows, long="told")
    if consumers:
        print_table(_CONSUMER_HEADERS, (_cells(each) for each in consumers))


def _told(queue: "MessageQueueStatus") -> str | None:
    if queue.kind == "memory":
        return "in the memory of each worker process"
    return queue.error or " ".join(queue.warnings) or None


def _cells(consumer: "ConsumerStatus") -> "Sequence[object]":
    c = consumer
    starts = None if c.starts_itself else "by --consumer"
    return c.name, c.queue, c.handler, c.waiting, c.prefetch, c.running, c.concurrency, starts
