"""Message queues of RabbitMQ, spoken to with AMQP 0-9-1.

    publish ──► NAME ──► receive ──► ack
                 ▲          │
                 │          ├─ nack ────────────► NAME, in front
                 │          ├─ nack, delay ─────► NAME.wait.5000ms ─┐ its time to live over
                 └──────────│───────────────────────────────────────┘
                            └─ last delivery ───► NAME.dead, with the reason in a header

All of them are quorum queues: they count the deliveries of a message, also those whose receiver died, and what leaves a
wait queue stays there until NAME has taken it. `durable: false` makes NAME a classic queue of messages in memory.
"""

from scheduler.queues.amqp.queue import AmqpMessageQueue

__all__ = ["AmqpMessageQueue"]
