"""Alerts of a real process: told to every target by what really went wrong, and over when it is."""

import json

from tests.alerts.servers import mail_server, silent_server, web_server
from tests.faults.harness import Scene

FORBIDDEN = "WHERE handler_params ->> 'target' = 'forbidden' ORDER BY id LIMIT 1"
HASTY = {
    "ALERTS__INTERVAL_SECONDS": 0.1,
    "ALERTS__QUIET_SECONDS": 0,
    "constants": {"services.alerts.posting.SECONDS": 0.5},
}


def test_all_are_told_though_one_hangs_and_one_is_forbidden(scene: Scene) -> None:
    with web_server() as hook, web_server() as chat, mail_server() as mail, silent_server() as hanging:
        targets = {
            "hook": {"kind": "webhook", "url": f"http://127.0.0.1:{hook.port}/", "private": True, "secret": "s"},
            "chat": {"kind": "slack", "url": f"http://127.0.0.1:{chat.port}/", "private": True},
            "mail": {
                "kind": "email", "url": f"smtp://127.0.0.1:{mail.port}", "sender": "jobs@example.com",
                "recipients": ["ops@example.com"],
            },
            "hanging": {"kind": "webhook", "url": f"http://127.0.0.1:{hanging.port}/", "private": True},
            "forbidden": {"kind": "webhook", "url": f"https://127.0.0.1:{hook.port}/"},
        }  # fmt: skip
        (scene.folder / "scheduler.yaml").write_text(json.dumps({"alerts": {"targets": targets}}))
        scene.worker(**HASTY)
        (id_,) = scene.enqueue("gated", max_retry=1, timeout_seconds=0.05)
        scene.until_all("TIMEOUT", [id_])
        (posted,) = hook.until(lambda items: len(items) == 1)
        assert posted.json["data"]["rule"] == "dead_letter"
        assert posted.json["data"]["subject"] == "gated"
        assert "webhook-signature" in posted.headers
        assert "handler gated" in chat.until(lambda items: len(items) == 1)[0].json["text"]
        assert "handler gated" in mail.until(lambda items: len(items) == 1)[0]
        hanging.until(lambda items: len(items) > 0)
        forbidden = (
            "SELECT status FROM job_executions WHERE handler_params ->> 'target' = 'forbidden' ORDER BY id LIMIT 1"
        )
        scene.until("FAILED", forbidden)
        assert "not a public address" in scene.value(forbidden.replace("SELECT status", "SELECT error"))
        scene.open_gate(2)
        scene.rows("UPDATE job_executions SET timeout_seconds = 60 WHERE id = %s", id_)
        scene.rows("SELECT retry_job(%s)", id_)
        scene.until_all("SUCCESS", [id_])
        assert [each.json["type"] for each in hook.until(lambda items: len(items) == 2)] == [
            "alert.opened",
            "alert.closed",
        ]
        assert chat.until(lambda items: len(items) == 2)[1].json["text"].startswith("Over: ")
        assert "Subject: Over: " in mail.until(lambda items: len(items) == 2)[1]
        assert scene.value("SELECT count(*) FROM job_alerts WHERE closed_at IS NULL") == 0
        scene.until_all("SUCCESS", scene.enqueue("work", count=5))
