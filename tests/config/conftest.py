"""A project folder whose files a test spells out."""

from pathlib import Path
from textwrap import dedent

import pytest

from scheduler.config import Settings, load_settings
from scheduler.errors import ConfigurationError
from tests.store.fixtures import events

__all__ = ["Project", "events", "project"]


class Project:
    """A folder with settings files, read under an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def load(self, **env: str) -> Settings:
        return load_settings(self.folder, env)

    def refusal(self, **env: str) -> str:
        """The message with which these settings are refused."""
        with pytest.raises(ConfigurationError) as refused:
            self.load(**env)
        return str(refused.value)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
