"""The setting `retention` as rules, and what it says in words."""

from collections.abc import Iterator

from scheduler.config import RetentionSettings
from scheduler.model import FINAL
from scheduler.rules.retention import Keep, Retention


def rules_of(settings: RetentionSettings) -> Retention:
    kept = {status: getattr(settings, status.lower()) for status in FINAL}
    return Retention(
        statuses={status: Keep(rule.keep_days, rule.keep_last) for status, rule in kept.items()},
        cron_jobs={name: Keep(rule.keep_days, rule.keep_last) for name, rule in settings.cron_jobs.items()},
        unique_forever_days=settings.unique_forever.keep_days,
        workers_days=settings.workers.keep_days,
        messages_days=settings.messages.keep_days,
        requests_days=settings.requests.keep_days,
        audit_days=settings.audit.keep_days,
    )


def in_words(rules: Retention) -> str:
    """`SUCCESS after 30 days, FAILED after 90 days or beyond the newest 1,000`; statuses kept for ever are left out."""
    said = [f"{status} {words}" for status, keep in sorted(rules.statuses.items()) if (words := " or ".join(_of(keep)))]
    if rules.cron_jobs:
        said.append(f"with rules of their own for {len(rules.cron_jobs)} cron jobs")
    return ", ".join(said) or "nothing but what rules of queues say"


def _of(keep: Keep) -> Iterator[str]:
    if keep.days is not None:
        yield f"after {keep.days:g} days"
    if keep.last is not None:
        yield f"beyond the newest {keep.last:,}"
