"""A batch handler, for the projects of tests that are about those."""

import asyncio
from pathlib import Path
from typing import Any

from scheduler import current_batch, handler


@handler("index", batch_size=20, batch_wait_seconds=0.2, retry_delay=0.1)
async def index(batch: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Ends when the project folder holds a file `gate-<attempt>` for the first of them, if it is to wait."""
    executions = current_batch()
    gate = Path(f"gate-{executions[0].attempt}")
    while batch[0].get("gated") and not gate.exists():  # noqa: ASYNC110, ASYNC240 - the test makes the file
        await asyncio.sleep(0.01)
    await asyncio.sleep(max(each.get("seconds", 0.0) for each in batch))
    return [{"attempt": execution.attempt} for execution in executions]
