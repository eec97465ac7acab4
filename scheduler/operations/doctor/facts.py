"""What the project says of itself, in plain values: the checks know nothing of settings files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IgnoredFile:
    """A YAML file that was left alone. `slips`: its keys that look like a section of ours, each with that section."""

    path: str
    slips: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    sources: Sequence[str]
    """Files and variables that the settings came from."""
    ignored: Sequence[IgnoredFile]
    handler_sources: Sequence[str]


@dataclass(frozen=True, slots=True)
class Place:
    """A database that is used, by its name in the settings."""

    name: str
    conninfo: str = field(repr=False)
    pool_size: int
    two_phase: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """The job database and those that handlers use beside it. Times in seconds."""

    job: Place
    others: Sequence[Place] = ()
    direct_conninfo: str | None = field(default=None, repr=False)
    """The job database past a pooler, where the settings name a way."""
    schema: str = "public"
    embedded: bool = False
    queues: Sequence[str] = ("default",)
    pool_size: int = 5
    heartbeat_interval_seconds: float = 10.0
    handlers: Sequence[str] | None = None
    """The names of the project's handlers; None where they can't be found."""
