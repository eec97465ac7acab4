"""handler: `scheduler.alert`, which tells one target of one alert. Retried and seen like any other."""

import time
from collections.abc import Mapping
from typing import Any, Final

from scheduler.errors import FailPermanently, ForbiddenTargetError, did_you_mean
from scheduler.handlers import HandlerOptions, HandlerSpec, declare
from scheduler.services.alerts.letters import AlertNews, event, mail, signature_headers, slack_text
from scheduler.services.alerts.mailing import send
from scheduler.services.alerts.posting import post
from scheduler.services.alerts.targets import Mail, Slack, Target, Webhook

NAME: Final = "scheduler.alert"


def alert_handler(targets: Mapping[str, Target]) -> HandlerSpec:
    """The handler, for a registry. It runs in a thread, where waiting for a target holds up nobody else."""

    def tell(params: AlertNews) -> dict[str, Any]:
        target = targets.get(params.target)
        if target is None:
            raise FailPermanently(f"No target is named {params.target!r}.{did_you_mean(params.target, targets)}")
        try:
            return delivered(params, target)
        except ForbiddenTargetError as error:
            raise FailPermanently(str(error)) from None

    options = HandlerOptions(run_in="thread", timeout=60, max_retry=8, retry_delay=10)
    return declare(NAME, tell, __name__, options)


def delivered(news: AlertNews, target: Target) -> dict[str, Any]:
    """What is stored of it. Raises ForbiddenTargetError and UndeliveredError."""
    match target:
        case Webhook():
            body = event(news)
            headers = signature_headers(news, body, target.secret, int(time.time()))
            return {"status": post(target.url, body, headers, private=target.private)}
        case Slack():
            return {"status": post(target.url, slack_text(news), {}, private=target.private)}
        case Mail():
            send(target.server, mail(news, target.sender, ", ".join(target.recipients)))
            return {"recipients": len(target.recipients)}
