"""The page is complete, and every test that it leans on is there."""

import ast
from pathlib import Path

import pytest

from tests.reliability.mutants import MUTANTS, Verdict
from tests.reliability.page import PAGE, ROOT, Results, written
from tests.reliability.scenarios import SCENARIOS, Scenario


def functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.stmt) and hasattr(node, "name")
    }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_each_scenario_has_tests_or_says_why_not(scenario: Scenario) -> None:
    assert scenario.tests or scenario.note
    for test in scenario.tests:
        path, _, function = test.partition("::")
        assert (ROOT / path).exists(), test
        assert not function or function in functions(ROOT / path), test


def test_none_is_left_out() -> None:
    """S59 is about the dashboard, which isn't there yet."""
    assert [scenario.id for scenario in SCENARIOS] == [f"S{number:02}" for number in range(1, 66) if number != 59]


def test_the_page_is_of_these_scenarios_and_mutants() -> None:
    """What it measured may be of another day; what it names may not."""
    rows = {line.partition(" | ")[0] for line in PAGE.read_text().splitlines()}
    assert rows >= {f"| {scenario.id}" for scenario in SCENARIOS} | {f"| {mutant.name}" for mutant in MUTANTS}
    assert "**" not in PAGE.read_text(), "the run that wrote it had failures"


def test_what_failed_lived_or_did_not_run_is_told() -> None:
    results = Results()
    zombie = next(scenario for scenario in SCENARIOS if scenario.id == "S03")
    results.passed["tests/faults/test_zombie.py::test_one"] = results.faults[
        "tests/faults/test_zombie.py::test_one"
    ] = 4
    assert results.of(zombie) == (4, "holds")
    results.failed.add("tests/faults/test_zombie.py::test_other")
    assert results.of(zombie) == (4, "**fails**")
    page = written(results, [Verdict(MUTANTS[0], caught=False, output="")])
    assert "**not run**" in page
    assert "**lives**" in page
