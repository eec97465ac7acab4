"""What is counted, and the page that tells it."""

import shutil
import subprocess

import pytest

from scheduler.metrics import CATALOGUE, Kind, Tally, exposition
from scheduler.metrics.catalogue import SECONDS

HOSTILE = 'a"b\\c\nd{}=, \ud800é'


def tally() -> Tally:
    counted = Tally()
    counted.count("scheduler_attempts_total", "email", "default", "success")
    counted.count("scheduler_attempts_total", "email", "default", "success", by=2)
    for value in (0.004, 0.005, 0.2, 5000.0):
        counted.observe("scheduler_wait_seconds", "default", values=[value])
    return counted


def test_each_metric_is_explained_before_its_samples() -> None:
    page = exposition(tally())
    assert page.splitlines()[:3] == [
        f"# HELP scheduler_attempts_total {CATALOGUE['scheduler_attempts_total'].help}",
        "# TYPE scheduler_attempts_total counter",
        'scheduler_attempts_total{handler="email",queue="default",outcome="success"} 3',
    ]


def test_buckets_hold_those_below_them() -> None:
    lines = exposition(tally()).splitlines()
    told = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines if line.startswith("scheduler_wait")}
    assert told['scheduler_wait_seconds_bucket{queue="default",le="0.005"}'] == "2"
    assert told['scheduler_wait_seconds_bucket{queue="default",le="0.25"}'] == "3"
    assert told['scheduler_wait_seconds_bucket{queue="default",le="1800"}'] == "3"
    assert told['scheduler_wait_seconds_bucket{queue="default",le="+Inf"}'] == "4"
    assert told['scheduler_wait_seconds_count{queue="default"}'] == "4"
    assert float(told['scheduler_wait_seconds_sum{queue="default"}']) == pytest.approx(5000.209)


def test_a_name_is_escaped() -> None:
    (line,) = [
        each for each in exposition([(("scheduler_queue_waiting", HOSTILE), [1.0])]).splitlines() if each[0] != "#"
    ]
    assert line == 'scheduler_queue_waiting{queue="a\\"b\\\\c\\nd{}=, \ufffdé"} 1'
    line.encode()


@pytest.mark.parametrize(
    ("number", "told"),
    [(0.0, "0"), (1e14, "1" + "0" * 14), (1e22, "1e+22"), (0.1, "0.1"), (float("inf"), "+Inf"), (float("nan"), "NaN")],
)
def test_numbers_are_written_as_the_format_has_them(number: float, told: str) -> None:
    assert exposition([(("scheduler_slots",), [number])]).splitlines()[-1] == f"scheduler_slots {told}"


def test_what_is_taken_out_and_added_elsewhere_is_counted_once() -> None:
    worker, supervisor = tally(), Tally()
    supervisor.add(worker.take())
    assert worker.take() == []
    worker.count("scheduler_attempts_total", "email", "default", "success")
    worker.observe("scheduler_wait_seconds", "default", values=[0.1])
    supervisor.add(worker.take())
    cells = dict(supervisor)
    assert cells["scheduler_attempts_total", "email", "default", "success"] == [4.0]
    assert sum(cells["scheduler_wait_seconds", "default"][1:]) == 5


def test_names_and_units_follow_the_rules() -> None:
    for metric in CATALOGUE.values():
        assert metric.name.startswith("scheduler_")
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
        assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
        assert metric.help.endswith(".")
    assert sorted(SECONDS) == list(SECONDS)


def everything() -> str:
    samples = [
        ((metric.name, *(HOSTILE for _ in metric.labels)), [1.0] * (len(metric.buckets) + 2 if metric.buckets else 1))
        for metric in CATALOGUE.values()
    ]
    return exposition(samples)


def test_promtool_accepts_the_page() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    run = subprocess.run([promtool, "check", "metrics"], input=everything().encode(), capture_output=True, check=False)
    assert (run.returncode, run.stderr.decode()) == (0, "")
