"""The sections and their rules. Every service gets plain values from here, never these objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AliasChoices, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from scheduler.config.alerts import AlertSettings
from scheduler.config.cron_jobs import CronJobSettings
from scheduler.config.database import DatabaseSettings
from scheduler.config.messaging import ConsumerSettings, DriverSettings, MessageQueueSettings, beyond, circle
from scheduler.config.values import (
    Count,
    Days,
    Kept,
    Names,
    Port,
    Processes,
    Seconds,
    SecondsOrZero,
    Section,
    Text,
    lower_case,
)
from scheduler.config.web import WebSettings
from scheduler.errors import did_you_mean
from scheduler.handlers.cron import Name


class WorkerSettings(Section):
    """`worker`: what `scheduler run` does."""

    database: Text = "default"
    """The database that holds the scheduler's own tables: a name under `databases`."""
    databases: Names = Field(default_factory=list)
    """Further databases that handlers use: names under `databases`."""
    queues: Names = Field(default=["default"], min_length=1)
    """The queues to work on; they are visited in rotation."""
    pool_size: Count = 5
    """Executions running at once in a process."""
    poll_interval_seconds: Seconds = 5.0
    """How long an idle worker sleeps at the most; a notification wakes it sooner."""
    claim_batch_size: Count = 10
    """Executions claimed at a time, to begin with; it adapts to how long they take."""
    claim_batch_max: Count = Field(default=500, validate_default=True)
    """What `claim_batch_size` may grow to."""
    shutdown_timeout_seconds: SecondsOrZero = 30.0
    """How long running executions may take to finish after SIGTERM; 0: hand them back at once."""
    heartbeat_interval_seconds: Seconds = 10.0
    """How often a worker says that it is alive."""
    lease_seconds: Seconds = Field(default=30.0, validate_default=True)
    """How long a worker's claims outlive its last heartbeat; at least twice `heartbeat_interval_seconds`."""
    processes: Processes = 1
    """Worker processes that `scheduler run` starts and looks after. `2..8`: as many as the waiting work asks for. \
0: none beside itself, as for a debugger."""
    max_executions_per_process: Count | None = None
    """A worker process that has begun so many is replaced, and ends when its work has; `null`: never."""

    health_port: Port | None = None
    """Answer `GET /health` and `/live` there, for all worker processes: 200 while each loop of each gets on, or 503; \
and `/metrics`, for Prometheus. \
0: any free port, which the log names; `null`: nowhere."""
    health_address: Text = "127.0.0.1"
    """The address of this host that `health_port` is opened at; `0.0.0.0` for all."""

    @property
    def process_range(self) -> tuple[int, int]:
        """The fewest and the most of `processes`."""
        least, _, most = str(self.processes).partition("..")
        return int(least), int(most or least)

    @field_validator("claim_batch_max")
    @classmethod
    def _room_to_grow(cls, given: int, info: ValidationInfo) -> int:
        first = info.data.get("claim_batch_size", given)
        if given < first:
            raise ValueError(f"is {given}, less than claim_batch_size ({first}): write {first} or more")
        return given

    @field_validator("lease_seconds")
    @classmethod
    def _outlives_a_lost_heartbeat(cls, given: float, info: ValidationInfo) -> float:
        least = 2 * info.data.get("heartbeat_interval_seconds", 0)
        if given < least:
            raise ValueError(
                f"is {given:g}, less than twice heartbeat_interval_seconds: write {least:g} or more, or beat more often"
            )
        return given


class RetentionRule(Section):
    """How long rows of one kind stay."""

    keep_days: Days | None
    """Days after their end; `null`: for ever."""
    keep_last: Kept | None = None
    """The newest so many stay, and older ones go even before `keep_days`."""


class AgeRule(Section):
    """How long rows of a kind stay that nobody counts."""

    keep_days: Days | None
    """Days after their end, or after a message came; `null`: for ever."""


class CronJobRetention(Section):
    """`retention.cron_jobs.<name>`: what is different for the executions of one cron job."""

    keep_days: Days | None = None
    """Days after their end, in place of what holds for their queue or status."""
    keep_last: Kept | None = None
    """The newest so many stay, in place of what holds for their queue or status."""


def _kept(days: float, status: str) -> RetentionRule:
    """A field that is written like its status; variables arrive in lower case."""
    names = AliasChoices(status, status.lower())
    rule: RetentionRule = Field(default=RetentionRule(keep_days=days), validation_alias=names)
    return rule


class RetentionSettings(Section):
    """`retention`: when final rows are deleted."""

    success: RetentionRule = _kept(30, "SUCCESS")
    failed: RetentionRule = _kept(90, "FAILED")
    timeout: RetentionRule = _kept(90, "TIMEOUT")
    cancelled: RetentionRule = _kept(30, "CANCELLED")
    skipped: RetentionRule = _kept(30, "SKIPPED")
    cron_jobs: dict[Name, CronJobRetention] = Field(default_factory=dict)
    unique_forever: AgeRule = AgeRule(keep_days=None)
    """Executions with a `unique_key` that is kept `forever`: not before this, whatever else says so."""
    workers: AgeRule = AgeRule(keep_days=7)
    """Workers that have ended."""
    messages: AgeRule = AgeRule(keep_days=90)
    """Messages whose execution is gone, by which a redelivery is known."""
    requests: AgeRule = AgeRule(keep_days=7)
    """Requests to the HTTP API with an `Idempotency-Key`, by which a second one is known."""
    audit: AgeRule = AgeRule(keep_days=365)
    """Who did what (`job_audit_log`)."""
    interval_seconds: Seconds = 300.0
    """How often one of all workers looks for what may go, on average."""


class LogSettings(Section):
    """`log`: how lines are written to stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], lower_case] = "info"
    """The least important lines that are written."""
    format: Annotated[Literal["text", "json"], lower_case] = "text"
    """`text` for people, `json` for one object a line."""
    language: Annotated[Literal["en", "ko"], lower_case] = "en"
    """English or Korean."""


@dataclass(frozen=True, slots=True)
class IgnoredFile:
    """A YAML file that was left alone because it has none of our sections."""

    path: Path
    slips: Mapping[str, str] = field(default_factory=dict)
    """Its keys that look like a section of ours, each with that section."""


class Problem(NamedTuple):
    """What is wrong with one setting: `text` goes on where its key ends."""

    path: tuple[str | int, ...]
    text: str


class Settings(BaseSettings):
    """All settings. Making one reads nothing but its arguments; `load_settings` reads files and variables."""

    model_config = SettingsConfigDict(
        env_prefix="SCHEDULER_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    databases: dict[str, DatabaseSettings] = Field(default_factory=dict)
    """The databases, by the names that handlers use. None at all: the embedded server."""
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    handlers: Names = Field(default=["handlers"])
    """Folders or dotted modules in which handlers are looked for."""
    managed_by: Text | None = None
    """Whose the declared cron jobs are: the project's name. Rows of others are left alone."""
    cron_jobs: dict[Name, CronJobSettings] = Field(default_factory=dict)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    drivers: dict[str, DriverSettings] = Field(default_factory=dict)
    queues: dict[Name, MessageQueueSettings] = Field(default_factory=dict)
    consumers: dict[Name, ConsumerSettings] = Field(default_factory=dict)

    sources: tuple[Path, ...] = Field(default=(), exclude=True)
    """The files that these settings came from."""
    ignored: tuple[IgnoredFile, ...] = Field(default=(), exclude=True)

    @property
    def job_database(self) -> DatabaseSettings | None:
        """The database of the scheduler's own tables; None when no database has an address: then it is embedded."""
        database = self.databases.get(self.worker.database)
        return database if database is not None and database.has_address else None

    @property
    def database_named(self) -> bool:
        """Whether any file or variable says where a database is."""
        return any(database.has_address for database in self.databases.values())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        problems = [*self._nameless_databases(), *self._nameless_queues(), *self._nameless_consumers()]
        if problems:
            text = "\n".join(f"{'.'.join(map(str, problem.path))} {problem.text}" for problem in problems)
            raise PydanticCustomError("names", "{text}", {"text": text, "problems": problems})
        return self

    def _nameless_databases(self) -> Iterator[Problem]:
        if not self.database_named:
            return
        places = {name for name, database in self.databases.items() if database.has_address}
        wanted = {("worker", "database"): self.worker.database} | {
            ("worker", "databases", at): name for at, name in enumerate(self.worker.databases)
        }
        for path, name in wanted.items():
            if name in self.databases and name not in places:
                yield Problem(("databases", name), "has no address: write its url, or host and the others")
            elif name not in places:
                yield Problem(path, _unknown(name, "databases", places))

    def _nameless_queues(self) -> Iterator[Problem]:
        for name, queue in self.queues.items():
            if (driver := self.drivers.get(queue.driver)) is None:
                yield Problem(("queues", name, "driver"), _unknown(queue.driver, "drivers", self.drivers))
                continue
            for key, text in beyond(driver, queue.options):
                yield Problem(("queues", name, "options", key), text)

    def _nameless_consumers(self) -> Iterator[Problem]:
        for name, consumer in self.consumers.items():
            if consumer.queue not in self.queues:
                yield Problem(("consumers", name, "queue"), _unknown(consumer.queue, "queues", self.queues))
            others = {*self.queues, *self.consumers} - {name}
            for section in ((), ("lifecycle",)):
                needs = (consumer.lifecycle if section else consumer).depends_on
                for at, needed in enumerate(needs):
                    if needed not in others:
                        path = ("consumers", name, *section, "depends_on", at)
                        yield Problem(path, _unknown(needed, "queues or consumers", others))
            way = circle(self.consumers, name)
            if len(way) > 2 and name == min(way):
                path = ("consumers", name, "depends_on")
                yield Problem(path, f"leads back to itself ({' → '.join(way)}): take one of them out")


SECTIONS: Mapping[str, object] = {name: field for name, field in Settings.model_fields.items() if not field.exclude}
"""The top-level keys that are ours."""


def _unknown(name: str, section: str, known: Mapping[str, object] | set[str]) -> str:
    if "://" in name:
        return f"must be a name under {section}, not a URL: write the URL there"
    return f"is {name!r}, which is not under {section}.{did_you_mean(name, known)} Add it there, or write another name"
