"""The sections of docs/doctor.md, for whoever has the package and not the repository."""

import re
from functools import cache

from scheduler.operations.doctor.finding import Code
from scheduler.store.migration import home

_HEADING = re.compile(r"^### (.+)$", re.MULTILINE)


def section(code: Code) -> str:
    """The section that explains a finding, in Markdown, without its heading."""
    return sections()[code]


@cache
def sections() -> dict[str, str]:
    """Every section by its heading."""
    text = (home() / "docs" / "doctor.md").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    return {name: body.partition("\n## ")[0].strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
