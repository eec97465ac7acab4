"""Cron jobs declared in code: `@handler("report", cron="0 3 * * *")`, and what any declaration may say.

The settings' `cron_jobs` have the same fields, of the same types.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from scheduler.errors import ConfigurationError, ScheduleError
from scheduler.model import DeclaredCronJob
from scheduler.rules.schedule import parse
from scheduler.rules.zones import load_zone

_NAME_BYTES = 200
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def _readable(expression: str) -> str:
    try:
        parse(expression, "UTC", anchor=_ANY_TIME)
    except ScheduleError as error:
        raise ValueError(f"is refused: {error}") from error
    return expression


def _known(zone: str) -> str:
    try:
        load_zone(zone)
    except ScheduleError as error:
        raise ValueError(f"is refused: {error}") from error
    return zone


def _short(name: str) -> str:
    if not 1 <= len(name.encode("utf-8", "replace")) <= _NAME_BYTES:
        raise ValueError(f"must be a name of 1 to {_NAME_BYTES} bytes")
    return name


def _storable(params: dict[str, Any]) -> dict[str, Any]:
    try:
        stored: dict[str, Any] = json.loads(json.dumps(params, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("must be what JSON can hold; put dates and times in quotes") from error
    return stored


def _a_number(given: object) -> object:
    if isinstance(given, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - pydantic collects ValueErrors only
    return given


def _a_time(given: object) -> object:
    """Python and YAML know dates and times; a bare number would be seconds to one and a year to the other."""
    try:
        moment = datetime.fromisoformat(str(given)) if isinstance(given, str | date) else None
        if moment is not None:
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a time in ISO 8601, such as 2026-03-08T02:30 (UTC) or 2026-03-08T02:30-05:00")


_Number = BeforeValidator(_a_number)

Expression = Annotated[str, AfterValidator(_readable)]
Zone = Annotated[str, AfterValidator(_known)]
Name = Annotated[str, AfterValidator(_short)]
Params = Annotated[dict[str, Any], AfterValidator(_storable)]
Priority = Annotated[int, _Number, Field(ge=-9, le=9)]
Timeout = Annotated[float, _Number, Field(gt=0, le=31_622_400)]
MaxRetry = Annotated[int, _Number, Field(ge=0, le=1_000)]
BackoffName = Literal["fixed", "linear", "exponential"]
RetryDelay = Annotated[float, _Number, Field(ge=0, le=86_400)]
OverlapName = Literal["skip", "queue", "allow", "replace"]
CatchUpName = Literal["latest", "skip", "all"]
CatchUpLimit = Annotated[int, _Number, Field(ge=1, le=10_000)]
Jitter = Annotated[float, _Number, Field(ge=0, le=86_400)]
Moment = Annotated[datetime, BeforeValidator(_a_time)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """When a handler runs by itself, for `@handler("report", cron=Cron("0 3 * * *", timezone="Europe/Berlin"))`.

    The fields are the columns of `cron_jobs`; None leaves a column to the handler. Checked by `@handler`, which raises
    ConfigurationError.
    """

    cron: Expression = field(kw_only=False)
    name: Name | None = None
    """Of the cron job; None: the handler's."""
    timezone: Zone = "UTC"
    params: Params = field(default_factory=dict)
    queue: Name = "default"
    priority: Priority = 0
    timeout_seconds: Timeout | None = None
    max_retry: MaxRetry | None = None
    retry_backoff: BackoffName | None = None
    retry_delay_seconds: RetryDelay | None = None
    overlap_policy: OverlapName = "skip"
    catch_up: CatchUpName = "latest"
    catch_up_limit: CatchUpLimit = 100
    jitter_seconds: Jitter = 0.0
    expected_duration_seconds: Timeout | None = None
    max_start_delay_seconds: Timeout | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    enabled: bool | None = None
    """None: whoever pauses or resumes it decides."""
    description: str | None = None


_CRON = TypeAdapter(Cron)


def declaration(name: str, handler: str, cron: Cron, where: str) -> DeclaredCronJob:
    """A checked `cron` as a declaration of the cron job `name`."""
    return DeclaredCronJob(name, where, _columns(handler, cron))


def _columns(handler: str, cron: Cron) -> Mapping[str, Any]:
    said = asdict(cron)
    columns = {
        "cron_expression": said.pop("cron"),
        "timezone": said.pop("timezone"),
        "handler_name": handler,
        "handler_params": said.pop("params"),
    }
    for name, value in said.items():
        if name == "name" or (name == "enabled" and value is None):
            continue
        columns[name] = value.isoformat() if isinstance(value, datetime) else value
    return columns


DEFAULTS = _columns("", Cron(""))
"""What a declaration that says nothing means, by column."""


def declared_by(what: str, handler: str, where: str, given: object) -> tuple[DeclaredCronJob, ...]:
    """The cron jobs of a handler's option `cron`. Raises ConfigurationError, beginning with `what`."""
    several = given if isinstance(given, list | tuple) else () if given is None else (given,)
    crons = [_checked(what, one) for one in several]
    names = [cron.name or handler for cron in crons]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"{what} declares two cron jobs named {name!r}: "
                'give each a name of its own, as in Cron("0 3 * * *", name="nightly").'
            )
    return tuple(declaration(name, handler, cron, where) for name, cron in zip(names, crons, strict=True))


def _checked(what: str, given: object) -> Cron:
    cron = Cron(given) if isinstance(given, str) else given
    if not isinstance(cron, Cron):
        raise ConfigurationError(
            f'{what}: cron can\'t be {given!r}: write an expression such as "0 3 * * *", a Cron(…), or a list of them.'
        )
    try:
        return _CRON.validate_python(asdict(cron))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(["cron", *(str(part) for part in problem["loc"] if part != "cron")])
    if problem["type"] == "value_error":
        raise ConfigurationError(f"{what}: {place} {_ended(str(problem['ctx']['error']))}")
    raise ConfigurationError(f"{what}: {place} is refused: {_ended(problem['msg'])}")


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."
