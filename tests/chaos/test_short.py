"""The short form of `./dev chaos`: each kind of fault once, all at once; and one that must be found out."""

from collections.abc import Callable

import pytest

from tests.chaos.artifacts import keep, rendered
from tests.chaos.run import Performance, Plan, Report
from tests.chaos.schedule import Kind
from tests.faults.harness import Sabotage

NO_TOKEN: Sabotage = ("settle_success", "AND e.claim_token = (SELECT %(tokens)s::uuid[])[o.claim]", "")
LONGER = frozenset({Kind.FREEZE, Kind.BLACK_HOLE, Kind.SLOW, Kind.WORKER_CLOCK})
"""Left to `./dev chaos`: each takes more than a lease, and has a test of its own."""


def performed(plan: Plan, folders: pytest.TempPathFactory) -> Report:
    """Its report. Tables and logs stay in the test's folder."""
    kept = folders.mktemp("kept")
    return Performance(plan, folders.mktemp("chaos")).run(lambda stage, report: keep(stage, report, kept))


@pytest.mark.timeout(900)
def test_everything_holds_whatever_happens_at_once(
    tmp_path_factory: pytest.TempPathFactory, record_property: Callable[[str, object], None]
) -> None:
    plan = Plan(seed=1164, seconds=8, every=0.8, kinds=[kind for kind in Kind if kind not in LONGER])
    report = performed(plan, tmp_path_factory)
    print(rendered(report))
    record_property("faults", report.delivered.total())
    assert report.violated == frozenset()
    assert report.unproven == []


@pytest.mark.timeout(900)
def test_a_worker_whose_outcomes_are_not_fenced_is_found_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    plan = Plan(
        seed=1, seconds=0, workers=2, every=1, kinds=[Kind.LATE_OUTCOME], offers=(), cron_jobs=False,
        sabotage=[NO_TOKEN],
    )  # fmt: skip
    report = performed(plan, tmp_path_factory)
    print(rendered(report))
    assert report.delivered[Kind.LATE_OUTCOME] > 0
    assert "I5" in report.violated


def test_a_run_in_which_nothing_happened_proves_nothing() -> None:
    report = Report(Plan(seed=1, kinds=[Kind.CUT, Kind.SLOW]))
    report.delivered[Kind.SLOW] += 1
    assert report.unproven == ["all connections of a worker cut", "a zombie's write refused"]
