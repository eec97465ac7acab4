"""Message queues of Amazon SQS, and of what speaks like it. docs/message-queues.md tells what SQS can't."""

from scheduler.queues.sqs.queue import SqsMessageQueue

__all__ = ["SqsMessageQueue"]
