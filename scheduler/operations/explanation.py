"""What an expression means: in words, field by field, its next ticks, and where it may surprise."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from scheduler.operations.cron_job_page import CronJob
from scheduler.operations.preview import Tick
from scheduler.rules.cautions import Caution, cautions
from scheduler.rules.clock_changes import ClockChange, clock_changes
from scheduler.rules.instants import HORIZON
from scheduler.rules.schedule import CronSchedule, parse
from scheduler.rules.words import FieldWords, field_words, in_words

_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Explanation:
    expression: str
    timezone: str
    cron_job: str | None
    """Its name, where it is the expression of one."""
    paused: bool
    paused_reason: str | None
    resume_at: datetime | None
    """When its pause ends by itself; None: it isn't paused, or somebody has to resume it."""
    words: str
    fields: tuple[FieldWords, ...]
    """None of `@every`."""
    ticks: tuple[Tick, ...]
    clock_changes: tuple[ClockChange, ...]
    """Of the coming year; each says whether it touches a tick."""
    cautions: tuple[Caution, ...]


def explain(
    expression: str, timezone: str, *, now: datetime, count: int, cron_job: CronJob | None = None
) -> Explanation:
    """The next `count` ticks from `now` on (aware). With a cron job, they count from its start and stay in its window.

    Of one that is paused, those that it will have when it resumes by itself, or would have if it were resumed now.

    `@every` counts from `now` otherwise. Raises ScheduleError.
    """
    anchor = now if cron_job is None else cron_job.anchor
    start = now if cron_job is None else max(now, cron_job.starts_at or now, cron_job.resume_at or now)
    end = (None if cron_job is None else cron_job.ends_at) or HORIZON
    schedule = parse(expression, timezone, anchor=anchor)
    changes = clock_changes(schedule, now, now + _YEAR)
    return Explanation(
        expression=expression,
        timezone=timezone,
        cron_job=None if cron_job is None else cron_job.name,
        paused=cron_job is not None and not cron_job.enabled,
        paused_reason=None if cron_job is None else cron_job.paused_reason,
        resume_at=None if cron_job is None else cron_job.resume_at,
        words=in_words(schedule),
        fields=field_words(expression) if isinstance(schedule, CronSchedule) else (),
        ticks=tuple(Tick.of(schedule, tick) for tick in islice(schedule.between(start, end), count)),
        clock_changes=tuple(changes),
        cautions=tuple(cautions(schedule, now, changes)),
    )
