"""`/metrics` of real processes: what they count is right, all together, and never less than before."""

import os
import re
import signal
import time
from collections.abc import Callable
from http.client import HTTPConnection

from tests.faults.harness import PATIENCE_SECONDS, Scene, SchedulerProcess

HASTY = {"WORKER__HEALTH_PORT": 0, "constants": {"services.measurer.INTERVAL_SECONDS": 0.2}}
SUCCESSES = 'scheduler_attempts_total{handler="work",queue="default",outcome="success"}'
SAMPLE = re.compile(r"^(\S+?(?:\{.*\})?) (\S+)$", re.MULTILINE)


class Scraper:
    def __init__(self, process: SchedulerProcess) -> None:
        (served, *_) = process.said("health.served")
        self._port = served["port"]

    def scrape(self) -> dict[str, float]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", "/metrics")
            page = connection.getresponse().read().decode()
        finally:
            connection.close()
        return {name: float(number) for name, number in SAMPLE.findall(page) if not name.startswith("#")}

    def until(self, condition: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(found := self.scrape()):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found


def test_two_processes_are_counted_together_and_one_that_is_killed_stays_counted(scene: Scene) -> None:
    process = scene.supervised(2, **HASTY)
    scraper = Scraper(process)
    scene.until_all("SUCCESS", scene.enqueue("work", count=200))
    before = scraper.until(lambda found: found.get(SUCCESSES) == 200)
    assert before['scheduler_run_seconds_count{handler="work",queue="default"}'] == 200
    os.kill(process.workers(2)[0], signal.SIGKILL)
    process.said("supervisor.started_worker", count=3)
    scene.until_all("SUCCESS", scene.enqueue("work", count=50))
    after = scraper.until(lambda found: found[SUCCESSES] >= 250)
    assert after[SUCCESSES] == 250
    assert all(after[name] >= number for name, number in before.items() if "_total" in name or "_count" in name)
    scraper.until(lambda found: found['scheduler_processes{state="working"}'] == 2)


def test_what_the_database_tells_is_told_by_one_of_them(scene: Scene) -> None:
    scene.enqueue("work", count=3, queue="elsewhere")
    scene.enqueue("work", count=2, queue="elsewhere", available_at="2999-01-01")
    scene.enqueue("gated")
    scene.cron_job("paused", "@daily", "work", enabled=False)
    scraper = Scraper(scene.supervised(2, **HASTY))
    found = scraper.until(lambda found: found.get('scheduler_queue_running{queue="default"}') == 1)
    assert found['scheduler_queue_waiting{queue="elsewhere"}'] == 3
    assert found['scheduler_queue_delayed{queue="elsewhere"}'] == 2
    assert found['scheduler_queue_oldest_seconds{queue="elsewhere"}'] > 0
    assert found['scheduler_cron_jobs{state="paused"}'] == 1
    assert found["scheduler_measured_age_seconds"] < 60
    scraper.until(lambda found: found["scheduler_workers"] == 2 and found["scheduler_slots"] == 10)
    scene.open_gate(1)


def test_a_single_process_tells_the_same(scene: Scene) -> None:
    scraper = Scraper(scene.worker(**HASTY))
    scraper.until(lambda found: "scheduler_tick_lag_seconds" in found)
    scene.enqueue("work", count=20)
    scene.enqueue("no_such_handler", max_retry=1)
    unknown = 'scheduler_dead_letters_total{handler="unknown",queue="default"}'
    found = scraper.until(lambda found: found.get(SUCCESSES) == 20 and found.get(unknown) == 1)
    assert found['scheduler_wait_seconds_count{queue="default"}'] == 21
