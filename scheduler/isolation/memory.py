"""How much memory an attempt may take: a limit of the kernel's on the data of its process, for as long as it runs."""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024 * 1024
_DATA_FIELD = 5


def data_bytes() -> int:
    """How much data this process holds: its heap and its private mappings, with what it inherited; 0 if unknown."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[_DATA_FIELD]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def memory_limited(data_at_first: int, megabytes: float | None) -> Iterator[None]:
    """For the time of a block: what would make the data more than that much larger raises MemoryError.

    Linux only; elsewhere the kernel counts data in another way, and nothing is limited.
    """
    if megabytes is None or sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = data_at_first + int(megabytes * MIB)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def out_of_memory(error: MemoryError, megabytes: float) -> MemoryError:
    """What the handler's limit is, in front of what was said, which is often nothing."""
    said = str(error)
    failure = MemoryError(f"it took more than its max_memory_mb of {megabytes:g}" + (f": {said}" if said else ""))
    failure.__cause__ = error
    return failure
