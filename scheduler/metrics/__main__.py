"""The tables of docs/metrics.md, from the catalogue. python -m scheduler.metrics docs/metrics.md writes them anew."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scheduler.metrics.catalogue import CATALOGUE, SECONDS, Origin

MARK: Final = "<!-- metrics: written by `python -m scheduler.metrics docs/metrics.md` -->\n"
_TITLES: Final = {Origin.HOST: "Of the processes", Origin.DATABASE: "Of the database"}


def page(prose: str) -> str:
    """What stands before the mark, and the tables."""
    return prose.partition(MARK)[0] + MARK + "".join(_tables())


def _tables() -> Iterator[str]:
    for origin, title in _TITLES.items():
        yield f"\n## {title}\n\n| metric | kind | labels | |\n|---|---|---|---|\n"
        for metric in CATALOGUE.values():
            if metric.origin is origin:
                labels = ", ".join(f"`{label}`" for label in metric.labels)
                yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"
    yield f"\nThe buckets of histograms end at {', '.join(f'{bound:g}' for bound in SECONDS)} seconds.\n"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(page(file.read_text(encoding="utf-8")), encoding="utf-8")
