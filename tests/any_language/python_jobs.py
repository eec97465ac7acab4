"""The same handler in Python, for a worker beside those of docs/any-language.md; slow, to leave them some."""

import asyncio
from typing import Any

from scheduler import handler


@handler("shout")
async def shout(params: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.1)
    return {"text": params["text"].upper(), "by": "python"}
