"""`alerts`: what counts as wrong, and who is told."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from scheduler.config.values import Days, MaybeSecret, MaybeText, Names, Seconds, SecondsOrZero, Section

Waiting = Annotated[int, Field(ge=1, le=1_000_000)]


class AlertRuleSettings(Section):
    """`alerts.rules`: what counts as wrong."""

    dead_letter_seconds: Seconds | None = 3_600.0
    """Executions of a handler that used up their tries, and are younger than this; `null`: never."""
    failing_cron_job_times: Annotated[int, Field(ge=1, le=100)] | None = 3
    """A cron job that is not paused failed so often in a row; `null`: never."""
    late_cron_job: bool = True
    """A tick was not planned in time, or not started within the cron job's `max_start_delay_seconds`."""
    slow_cron_job: bool = True
    """One takes longer than the cron job's `expected_duration_seconds`."""
    backlog: Waiting | None = 10_000
    """So many executions of a queue could be claimed; `null`: never."""
    stuck_loop: bool = True
    """A loop of a worker has not succeeded for too long."""
    in_doubt_seconds: Seconds | None = 300.0
    """A transaction over several databases is in doubt for so long; `null`: never."""


class AlertTargetSettings(Section):
    """`alerts.targets.<name>`: somebody who is told."""

    kind: Literal["webhook", "slack", "email"]
    """`webhook` gets a signed event, `slack` what Slack and Mattermost understand, `email` a mail."""
    url: MaybeSecret = None
    """`https://…`; for e-mail the server, `smtp://user:password@host:587` or `smtps://…`."""
    secret: MaybeSecret = None
    """What a webhook's events are signed with, as standardwebhooks.com has it; without it they are not."""
    private: bool = False
    """The address may be one that is not public, and the url `http://…`."""
    sender: MaybeText = None
    """Who a mail is from."""
    recipients: Names = Field(default_factory=list)
    """Who gets the mail."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        schemes = {"smtp", "smtps"} if self.kind == "email" else {"https", "http"} if self.private else {"https"}
        if self.url is None:
            raise ValueError(f"is of kind {self.kind} and needs a url")
        parts = urlsplit(self.url.get_secret_value())
        if parts.scheme not in schemes or not parts.hostname:
            wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
            raise ValueError(f"needs a url that begins with {wanted} and a host")
        if self.kind == "email" and not (self.sender and self.recipients):
            raise ValueError("is of kind email and needs a sender and recipients")
        return self


class AlertSettings(Section):
    """`alerts`: somebody is told when something is wrong, and when it is over."""

    enabled: bool | None = None
    """Whether one of all workers looks for what is wrong, and keeps `job_alerts`; `null`: if there are targets."""
    interval_seconds: Seconds = 15.0
    """How often, on average."""
    quiet_seconds: SecondsOrZero = 60.0
    """For how long something must not be seen to be over."""
    keep_days: Days = 90.0
    """Days that what is over stays in `job_alerts`."""
    queue: MaybeText = None
    """Under which the executions wait that tell the targets. Without it: the first of `worker.queues`."""
    rules: AlertRuleSettings = Field(default_factory=AlertRuleSettings)
    targets: dict[str, AlertTargetSettings] = Field(default_factory=dict)

    @property
    def watches(self) -> bool:
        return bool(self.targets) if self.enabled is None else self.enabled
