from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Scene


@pytest.fixture
def scene(migrated_url: str, tmp_path: Path) -> Iterator[Scene]:
    """A project of the test's own; its processes are gone before its database is."""
    with Scene(tmp_path / "project", migrated_url) as scene:
        yield scene
