"""Transactional handlers: what they write stands or falls with their SUCCESS."""

from scheduler import current_execution, get_connection, handler

TWO = ["default", "business"]
EFFECT = "INSERT INTO effects (execution_id, attempt) VALUES (:id, :attempt)"


async def _effects() -> dict[str, int]:
    execution = current_execution()
    for name in TWO:
        await get_connection(name).execute(EFFECT, {"id": execution.id, "attempt": execution.attempt})
    return {"attempt": execution.attempt}


@handler("effects", transactional=TWO, max_retry=10, retry_delay=0.1)
async def effects() -> dict[str, int]:
    return await _effects()


@handler("effects_in_process", transactional=TWO, run_in="process", max_retry=10, retry_delay=0.1)
async def effects_in_process() -> dict[str, int]:
    return await _effects()
