"""alerts: settings become targets and a watch."""

from collections.abc import Mapping

from scheduler.config import Settings
from scheduler.config.alerts import AlertTargetSettings
from scheduler.services.alerts.targets import Mail, Slack, Target, Webhook
from scheduler.services.alerts.watcher import SLICE_SECONDS, Watch, Watcher
from scheduler.services.loop import Loop
from scheduler.store.alerts import AlertRules
from scheduler.store.session import Session


def targets_of(settings: Settings) -> Mapping[str, Target]:
    """By name."""
    return {name: _target(target) for name, target in settings.alerts.targets.items()}


def _target(settings: AlertTargetSettings) -> Target:
    url = settings.url.get_secret_value() if settings.url is not None else ""
    match settings.kind:
        case "webhook":
            secret = settings.secret.get_secret_value() if settings.secret is not None else None
            return Webhook(url, secret, settings.private)
        case "slack":
            return Slack(url, settings.private)
        case "email":
            return Mail(url, settings.sender or "", tuple(settings.recipients))


def alert_loop(settings: Settings, session: Session) -> Loop:
    """What looks for what is wrong."""
    return Loop("alerts", Watcher(session, _watch(settings)).round, sleeps=SLICE_SECONDS)


def _watch(settings: Settings) -> Watch:
    alerts = settings.alerts
    return Watch(
        rules=AlertRules(**alerts.rules.model_dump()),
        targets=tuple(alerts.targets),
        queue=alerts.queue or settings.worker.queues[0],
        interval=alerts.interval_seconds,
        quiet_seconds=alerts.quiet_seconds,
        keep_days=alerts.keep_days,
    )
