"""The composition root: `Project` is a folder with its settings, `application` all that runs in one process."""

from scheduler.app.project import FOLDER, Project

__all__ = ["FOLDER", "Project"]
