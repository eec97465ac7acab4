"""Declarations as tests write them."""

from typing import Any

from scheduler.handlers.cron import Cron, declared_by
from scheduler.model import DeclaredCronJob
from scheduler.operations.declared import Declarations


def job(name: str, expression: str = "@daily", **options: Any) -> DeclaredCronJob:
    where = f"cron_jobs.{name} in the settings"
    (declared,) = declared_by("A test", "h", where, Cron(expression, name=name, **options))
    return declared


def declared(*jobs: DeclaredCronJob, managed_by: str = "ours") -> Declarations:
    return Declarations(managed_by, jobs)
