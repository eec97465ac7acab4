"""What is to be mended at a Redis server, from what its INFO tells."""

from collections.abc import Mapping
from typing import Any

_OLDEST = (6, 2)
_NEARLY_FULL = 0.9
_MEGABYTE = 1_000_000


def warnings(info: Mapping[str, Any], *, durable: bool) -> list[str]:
    """A sentence for each thing; managed services leave some of them untold."""
    found = []
    policy, room, used = (
        str(info.get("maxmemory_policy", "")),
        int(info.get("maxmemory", 0)),
        int(info.get("used_memory", 0)),
    )
    if _version(info) < _OLDEST:
        found.append(f"Redis {info['redis_version']} is too old: message queues need 6.2 or later.")
    if policy and policy != "noeviction":
        found.append(
            f"Its maxmemory-policy is {policy}: when memory is short, Redis drops messages. Set it to noeviction."
        )
    if room and used >= _NEARLY_FULL * room:
        found.append(
            f"Its memory is nearly full, {used // _MEGABYTE} of {room // _MEGABYTE} MB: soon it takes no more. "
            "Work off what waits, or raise maxmemory."
        )
    if durable and info.get("aof_enabled") == 0:
        found.append(
            "It keeps no append-only file: a restart loses what came since its last snapshot, if it makes any. "
            "Set appendonly yes, or durable: false for the queue."
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        found.append("It can't write its append-only file: its disk may be full.")
    if info.get("role") == "slave":
        found.append("It is a replica, which takes no writes: let the url name the primary.")
    return found


def _version(info: Mapping[str, Any]) -> tuple[int, ...]:
    parts = str(info.get("redis_version", "")).split(".")
    return tuple(int(part) for part in parts[:2]) if all(part.isdigit() for part in parts[:2]) else _OLDEST
