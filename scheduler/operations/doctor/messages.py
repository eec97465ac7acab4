"""Message queues: whether their brokers answer, and what is to be mended there."""

from collections.abc import Iterator, Sequence

from scheduler.operations.doctor.finding import Code, Finding
from scheduler.operations.messages import MessageQueueStatus
from scheduler.operations.words import count_of


def message_queues(found: Sequence[MessageQueueStatus]) -> Iterator[Finding]:
    for queue in found:
        name = f"Message queue {queue.name!r} ({queue.driver})"
        if queue.error is not None:
            yield Finding.error(Code.MESSAGE_QUEUES, f"{name}: {queue.error}", None)
            continue
        for warning in queue.warnings:
            yield Finding.warning(
                Code.MESSAGE_BROKERS, f"{name}: {warning}", "Mend it at the broker; docs/message-queues.md has more."
            )
        if queue.dead:
            yield Finding.warning(
                Code.MESSAGES_DEAD,
                f"{name} has {count_of(queue.dead, 'dead letter')}.",
                "See why they were given up, and publish anew what is to be done: docs/message-queues.md tells where "
                "its driver keeps them.",
            )
        if not queue.warnings:
            yield Finding.fine(Code.MESSAGE_QUEUES, f"{name} {_answers(queue)}.")


def _answers(queue: MessageQueueStatus) -> str:
    if queue.waiting is None:
        return "is in the memory of each worker process"
    return f"answers: {count_of(queue.waiting, 'message')} waiting"
