"""From a plain INSERT to the handler's first line, on an idle worker."""

import time
from statistics import quantiles

from tests.faults.harness import Scene

INSERTS = 200
P50_SECONDS, P99_SECONDS = 0.025, 0.150
"""Generous: for a small machine that runs other tests beside. DESIGN promises 10 and 50 ms."""


def test_an_inserted_row_starts_in_milliseconds(scene: Scene) -> None:
    scene.worker()
    latencies = []
    for n in range(INSERTS):
        if n % 20 == 0:
            fall_asleep(scene)
        inserted = time.time()
        (execution,) = scene.enqueue("first_line")
        scene.until_all("SUCCESS", [execution])
        began = scene.value("SELECT (result ->> 'at')::float FROM job_executions WHERE id = %s", execution)
        latencies.append(began - inserted)
    percentiles = quantiles(latencies, n=100)
    p50, p99 = percentiles[49], percentiles[98]
    print(f"{INSERTS} inserts: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, most {max(latencies) * 1000:.1f} ms")
    assert p50 < P50_SECONDS
    assert p99 < P99_SECONDS


def fall_asleep(scene: Scene) -> None:
    """Wait until the worker has slept long enough to ask for another second of wake-ups."""
    asked = scene.value("SELECT max(wake_until) FROM job_workers")
    scene.until_true("SELECT max(wake_until) > coalesce(%s::timestamptz, '-infinity') FROM job_workers", asked)
