"""The samples of docs/message-queues.md do what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.config import load_settings
from tests.faults.harness import Scene

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "message-queues.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"^```(?:yaml|python)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = {match[1]: sample for sample in SAMPLES if (match := re.match(r"# (\S+)\n", sample))}


@pytest.fixture
def scene(migrated_url: str, tmp_path: Path) -> Iterator[Scene]:
    with Scene(tmp_path / "project", migrated_url) as scene:
        yield scene


def test_a_message_published_by_a_handler_is_consumed_by_another(scene: Scene) -> None:
    for name, text in FILES.items():
        (scene.folder / name).write_text(text, encoding="utf-8")

    for _ in range(2):
        scene.enqueue("checkout", {"customer": "ada@example.com", "number": 7})
    scene.worker()

    scene.until(2, "SELECT count(*) FROM job_executions WHERE handler_name = 'checkout' AND status = 'SUCCESS'")
    scene.until(
        {"sent_to": "ada@example.com"}, "SELECT max(result::text)::jsonb FROM job_executions WHERE source = 'message'"
    )
    assert scene.value("SELECT count(*) FROM job_executions WHERE source = 'message'") == 1


def test_the_settings_for_a_broker_load(tmp_path: Path) -> None:
    (text,) = (sample for sample in SAMPLES if "kind: redis" in sample)
    (tmp_path / "scheduler.yaml").write_text(text, encoding="utf-8")

    assert load_settings(tmp_path, {}).consumers["task_consumer"].prefetch == 20
