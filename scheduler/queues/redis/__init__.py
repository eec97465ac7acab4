"""Message queues on Redis 6.2 or later, or Valkey. docs/message-queues.md tells what holds there and what doesn't."""

from scheduler.queues.redis.queue import RedisMessageQueue

__all__ = ["RedisMessageQueue"]
