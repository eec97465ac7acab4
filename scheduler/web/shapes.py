"""What requests hold, and what answers show where that isn't an operation's own value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from scheduler.client.new_execution import EnqueueOptions, new_execution
from scheduler.handlers.params import encode_params
from scheduler.model import Backoff, CatchUp, NewExecution, OnConflict, OverlapPolicy, UniqueUntil
from scheduler.operations.cron_job_page import CronJob, CronJobPage, NewestExecution
from scheduler.operations.cron_jobs import CronJobDefinition
from scheduler.operations.executions import Execution
from scheduler.operations.json_values import decoded
from scheduler.operations.preview import Tick
from scheduler.web.problems import Problem
from scheduler.web.veil import REDACTED, Veil

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _within_reason(moment: datetime) -> datetime:
    if not _FIRST <= moment < _LAST:
        raise ValueError("write a time from 1900 to 2199")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_within_reason)]
Name = Annotated[str, Field(min_length=1, max_length=1_000)]
Seconds = Annotated[float, Field(ge=0, le=3_155_760_000, allow_inf_nan=False)]
Integer = Annotated[int, Field(ge=0, le=2**31 - 1)]
Priority = Annotated[int, Field(ge=-9, le=9)]


class Given(BaseModel):
    """Of a request: keys that nobody knows are mistakes."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ExecutionOptions(Given):
    handler: Name
    """The name of the handler; whether there is one only a worker can say."""
    params: Any = Field(default_factory=dict)
    """What it is given."""
    queue: Name = "default"
    priority: Priority = 0
    """Higher runs first."""
    delay_seconds: Seconds = 0
    """Not before so many seconds have passed."""
    available_at: Moment | None = None
    """Not before this time, with its zone."""
    max_retry: Integer | None = None
    """How often it may fail in all; null: as its handler says."""
    unique_key: Name | None = None
    """At most one execution holds this key."""
    unique_until: UniqueUntil = "finished"
    on_conflict: OnConflict = "return existing"
    """What happens where the key is held."""
    concurrency_key: Name | None = None
    """Of those with one key only `concurrency_limit` run at once."""
    concurrency_limit: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None

    def row(self, *, timeout_seconds: float | None = None, notify_done: bool = False) -> NewExecution:
        """Raises ParamsError and RefusedError."""
        options = EnqueueOptions(
            queue=self.queue,
            priority=self.priority,
            delay=self.delay_seconds,
            available_at=self.available_at,
            timeout=timeout_seconds,
            max_retry=self.max_retry,
            unique_key=self.unique_key,
            unique_until=self.unique_until,
            on_conflict=self.on_conflict,
            concurrency_key=self.concurrency_key,
            concurrency_limit=self.concurrency_limit,
            notify_done=notify_done,
        )
        return new_execution(self.handler, self.params, options)


class Enqueue(ExecutionOptions):
    """An execution to be."""

    timeout_seconds: Annotated[float, Field(gt=0, le=31_622_400, allow_inf_nan=False)] | None = None
    """Of an attempt; null: as its handler says."""
    notify_done: bool = False
    """Its end is told at once to who follows it or its queue."""


class Call(ExecutionOptions):
    """An execution whose result is waited for."""

    wait_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long to wait for it."""


class CronJobEdit(Given):
    """Columns of `cron_jobs`, where they are described; what is left out stays as it is."""

    name: Name | None = None
    cron_expression: Name | None = None
    handler_name: Name | None = None
    handler_params: Any = None
    description: Annotated[str, Field(max_length=100_000)] | None = None
    timezone: Name | None = None
    queue: Name | None = None
    priority: Priority | None = None
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_retry: Integer | None = None
    retry_backoff: Backoff | None = None
    retry_delay_seconds: Seconds | None = None
    overlap_policy: OverlapPolicy | None = None
    catch_up: CatchUp | None = None
    catch_up_limit: Integer | None = None
    jitter_seconds: Seconds | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    enabled: bool | None = None
    version: Annotated[str, Field(max_length=100)] | None = None
    """As it was shown: then it is refused where somebody else has edited it since."""

    def changes(self) -> Mapping[str, Any]:
        """What was given, as a definition has it. Raises ParamsError, and Problem for what can't be null."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"version"}}
        for name in given.keys() & _NEVER_NULL:
            if given[name] is None:
                raise Problem("invalid", f"{name}: can't be null. Leave it out to keep what it is.")
        if "handler_params" in given:
            given["handler_params"] = _params(given["handler_params"])
        return given


_NEVER_NULL = frozenset(field.name for field in fields(CronJobDefinition)) - {
    "handler_params", "description", "timeout_seconds", "max_retry", "retry_backoff", "retry_delay_seconds",
    "starts_at", "ends_at",
}  # fmt: skip


class NewCronJob(CronJobEdit):
    """A cron job to be; what is left out is as the table's defaults say."""

    name: Name
    cron_expression: Name
    handler_name: Name

    def definition(self) -> CronJobDefinition:
        """Raises as `changes()` does."""
        return CronJobDefinition(**self.changes())


def _params(given: Any) -> str:
    """Raises ParamsError, and Problem for what a redacted answer would write over a secret."""
    if REDACTED in _strings(given):
        raise Problem(
            "invalid",
            f"handler_params: {REDACTED!r} stands for a secret that was not shown. Write the secret itself, or leave "
            "handler_params out to keep what they are.",
        )
    return encode_params(given)


def _strings(value: Any) -> set[str]:
    found, left = set[str](), [value]
    while left:
        match left.pop():
            case dict() as inner:
                left.extend(inner.values())
            case list() as inner:
                left.extend(inner)
            case str() as text:
                found.add(text)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCronJob(CronJob):
    """A row as it is stored, and how it does. Times in UTC."""

    handler_params: Any = None


@dataclass(frozen=True, slots=True)
class ShownCronJobPage:
    """Everything about one cron job."""

    cron_job: ShownCronJob
    words: str | None
    refusal: str | None
    ticks: tuple[Tick, ...]
    skipped_until: datetime | None
    executions: tuple[NewestExecution, ...]


def shown_cron_job(page: CronJobPage, veil: Veil) -> ShownCronJobPage:
    job = page.cron_job
    row = {field.name: getattr(job, field.name) for field in fields(job)}
    row["handler_params"] = veil.value(decoded(job.handler_params))
    row["params_hidden"] = job.params_hidden or veil.hides
    row["last_error"] = veil.text(job.last_error)
    executions = tuple(NewestExecution(**asdict(each) | {"error": veil.text(each.error)}) for each in page.executions)
    return ShownCronJobPage(ShownCronJob(**row), page.words, page.refusal, page.ticks, page.skipped_until, executions)


def shown_execution(execution: Execution, veil: Veil) -> Execution:
    row = {field.name: getattr(execution, field.name) for field in fields(execution)}
    attempts = [] if veil.hides else execution.errors
    row["errors"] = tuple(
        type(each)(each.attempt, each.outcome, each.at, each.worker, veil.text(each.error), veil.text(each.traceback))
        for each in attempts
    )
    for name in ("handler_params", "result"):
        row[name] = veil.value(row[name])
    for name in ("error", "cancel_reason", "progress_message"):
        row[name] = veil.text(row[name])
    row["contents_hidden"] = execution.contents_hidden or veil.hides
    return Execution(**row)
