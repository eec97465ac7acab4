"""What a job costs, against the reference loop in the same run: a guard against what makes it many times dearer.

A round trip, a transaction, a plan that goes through the table, or a line of log for each job are five to thirty times
the cost. What is smaller is for `./dev bench` to show, on a machine that does nothing else.
"""

import sys

import pytest

from benchmarks.drain import one_round
from scheduler.testing.postgres import ThrowawayPostgres

JOBS = 5000
TIMES = 8
"""Twice the reference loop's CPU is usual, the start included."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CPU is read from /proc")
def test_a_job_costs_a_worker_little_more_than_the_least_that_is_possible(postgres_server: ThrowawayPostgres) -> None:
    costs = {
        kind: one_round(kind, postgres_server.url(), jobs=JOBS, pool_size=100)["worker_us"]
        for kind in ("reference", "scheduler")
    }
    assert costs["scheduler"] < TIMES * costs["reference"]
