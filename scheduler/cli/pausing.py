"""What `scheduler queues pause` and `scheduler cron pause` take alike: a reason, and an end."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer

from scheduler.cli.moments import absolute, after_now, parsed, parsed_span, relative

Reason = Annotated[str | None, typer.Option(help="Shown to who wonders why nothing runs.")]
For = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="The pause ends by itself after this, such as 2h.")
]
Until = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="The pause ends by itself then; ISO 8601, in UTC where it names no offset."),
]


@dataclass(frozen=True, slots=True)
class AskedEnd:
    """When a pause is to end, as somebody has written it."""

    moment: timedelta | datetime | None
    text: str | None

    @classmethod
    def parsed(cls, for_: str | None, until: str | None) -> "AskedEnd":
        """Raises BadParameter, which names the option."""
        if for_ is not None and until is not None:
            raise typer.BadParameter("give either --for or --until.", param_hint="--until")
        if for_ is not None:
            return cls(parsed_span(for_, "--for"), for_)
        return cls(None if until is None else parsed(until, "--until"), until)

    def after(self, now: datetime) -> datetime | None:
        """None: when somebody resumes it. Raises BadParameter for a time that is past."""
        end = None if self.moment is None else after_now(self.moment, now)
        if end is not None and end <= now:
            raise typer.BadParameter(f"{self.text} is past: write a later time.", param_hint="--until")
        return end


def until_in_words(end: datetime, now: datetime) -> str:
    return f"until {absolute(end)} ({relative(end, now)})"
