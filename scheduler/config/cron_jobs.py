"""`cron_jobs`: cron jobs declared in a file, of the same kinds of values as those declared by `@handler(…, cron=…)`."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from scheduler.config.values import Section, Text
from scheduler.handlers.cron import (
    BackoffName,
    CatchUpLimit,
    CatchUpName,
    Cron,
    Expression,
    Jitter,
    MaxRetry,
    Moment,
    Name,
    OverlapName,
    Params,
    Priority,
    RetryDelay,
    Timeout,
    Zone,
    declaration,
)
from scheduler.model import DeclaredCronJob

_OUR_WORDS = {"cron_expression": "cron", "handler_name": "handler", "handler_params": "params"}


class CronJobSettings(Section):
    """`cron_jobs.<name>`: a row of `cron_jobs`, once `scheduler cron apply` has made it one."""

    cron: Expression
    """When: `0 3 * * *`, with seconds `30 0 3 * * *`, `@daily`, `@every 90s`; in quotes."""
    handler: Text
    """The name of the handler that runs."""
    timezone: Zone = "UTC"
    """An IANA zone, such as `Europe/Berlin`, on whose wall clock the times are."""
    params: Params = Field(default_factory=dict)
    """What the handler is given."""
    queue: Name = "default"
    """The queue that its executions wait under."""
    priority: Priority = 0
    """Higher runs first within its queue."""
    timeout_seconds: Timeout | None = None
    """How long an attempt may take. Without it: the handler's own."""
    max_retry: MaxRetry | None = None
    """How often an execution may fail in all; 0 and 1 both mean no second try. Without it: the handler's own."""
    retry_backoff: BackoffName | None = None
    """How the wait before the next try grows. Without it: the handler's own."""
    retry_delay_seconds: RetryDelay | None = None
    """The unit of that wait. Without it: the handler's own."""
    overlap_policy: OverlapName = "skip"
    """What a tick does while an earlier execution isn't final."""
    catch_up: CatchUpName = "latest"
    """Which missed ticks still run."""
    catch_up_limit: CatchUpLimit = 100
    """How many, for `all`; and how many may wait under `overlap_policy: queue`."""
    jitter_seconds: Jitter = 0.0
    """By how much ticks are spread, at most."""
    expected_duration_seconds: Timeout | None = None
    """How long one is expected to take; longer, it is in `cron_job_slow`, and an alert."""
    max_start_delay_seconds: Timeout | None = None
    """How long a tick may wait for its start; longer, it is in `cron_job_late`, and an alert."""
    starts_at: Moment | None = None
    """No tick before this: a time in ISO 8601, in UTC where it names no offset. `@every` counts from it."""
    ends_at: Moment | None = None
    """No tick at or after this."""
    enabled: bool | None = None
    """`false` pauses it. Without it: whoever pauses and resumes it by command or SQL decides."""
    description: str | None = None
    """What it is for."""

    @model_validator(mode="before")
    @classmethod
    def _in_our_words(cls, given: Any) -> Any:
        for column, word in _OUR_WORDS.items():
            if isinstance(given, Mapping) and column in given:
                raise ValueError(f"has the key {column!r}, which is the name of the column. Did you mean {word!r}?")
        return given


def declared(cron_jobs: Mapping[str, CronJobSettings]) -> list[DeclaredCronJob]:
    """The section's cron jobs, as `cron plan` and `cron apply` take them."""
    return [
        declaration(name, job.handler, _cron(job), f"cron_jobs.{name} in the settings")
        for name, job in cron_jobs.items()
    ]


def _cron(job: CronJobSettings) -> Cron:
    return Cron(**{key: getattr(job, key) for key in CronJobSettings.model_fields if key != "handler"})
