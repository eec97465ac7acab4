"""words: what is wrong, in a sentence for somebody who was asleep."""

from scheduler.store.alerts import Cause


def sentence(cause: Cause) -> str:
    """Names, numbers and what to look at; never what a handler said, which may hold a secret."""
    subject, detail, count, time = cause.subject, cause.detail, f"{cause.number:,.0f}", duration(cause.number)
    match cause.rule:
        case "dead_letter":
            have = "execution has" if cause.number == 1 else "executions have"
            return f"{count} {have} used up all tries of the handler {subject}, the last one is {detail}"
        case "failing_cron_job":
            return f"The cron job {subject} failed {count} times in a row, last as execution {detail}"
        case "late_cron_job":
            return f"The cron job {subject} is late by {time}: {detail}"
        case "slow_cron_job":
            return f"The cron job {subject} takes longer than it should: {time} so far, as execution {detail}"
        case "backlog":
            return f"At least {count} executions wait in the queue {subject}"
        case "stuck_loop":
            return f"The worker {subject} has not got on for {time} with: {detail}"
        case "in_doubt":
            return f"The transaction {subject} is in doubt for {time} ({detail})"
        case _:
            return f"{cause.rule}: {subject}"


def duration(seconds: float) -> str:
    """In the largest unit that it has two of."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:,.0f} {unit}"
    return f"{seconds:,.0f} seconds"
