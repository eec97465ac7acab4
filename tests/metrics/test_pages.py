"""What is written about metrics names those that there are: the page, the dashboard, and the rules of alerts."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scheduler.metrics import CATALOGUE, Kind
from scheduler.metrics.__main__ import page

ROOT = Path(__file__).parents[2]
PAGE, DASHBOARD, RULES = ROOT / "docs" / "metrics.md", ROOT / "ops" / "grafana.json", ROOT / "ops" / "alerts.yml"
SUFFIXES = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count"), Kind.COUNTER: ("",), Kind.GAUGE: ("",)}
SERIES = {metric.name + suffix for metric in CATALOGUE.values() for suffix in SUFFIXES[metric.kind]}
GRID_WIDTH = 24


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_the_page_is_that_of_the_catalogue() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(written), "run `python -m scheduler.metrics docs/metrics.md`"


@pytest.mark.parametrize("text", [*expressions(), RULES.read_text(encoding="utf-8")])
def test_a_series_that_is_asked_for_is_there(text: str) -> None:
    assert set(re.findall(r"\bscheduler_\w+", text)) <= SERIES


def test_each_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= GRID_WIDTH
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    run = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_promtool_accepts_what_the_dashboard_asks(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": text.replace("$__rate_interval", "5m")}
        for number, text in enumerate(expressions())
    ]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "panels.yml")


def test_the_alerts_fire_for_their_causes_and_for_nothing_else() -> None:
    promtool("test", "rules", Path(__file__).with_name("alerts_test.yml"))
