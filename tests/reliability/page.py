"""docs/reliability.md: which fault is tried by which test, how often it happened there, and which mutants were caught.

`./dev reliability` runs all of it and writes the page.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.reliability.mutants import Mutant, Verdict, run
from tests.reliability.scenarios import SCENARIOS, Scenario

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
_HEAD = """\
# What it survives

Whoever runs jobs over a database has to reckon with processes that are killed, frozen or cut off at any line of their
work. This page says which of that is tried, by which test, and what came of it. It is written by `./dev reliability`,
which runs every test that is named here. What must hold is checked by queries apart from the faults, over the notes of
a trigger that sees every state a row was in ([`tests/faults/audit.py`](../tests/faults/audit.py)).

The promise in one sentence: an execution is started at least once (where `max_retry` is 2 or more; at most once where
it is 0 or 1), each attempt has one recorded outcome, and an effect happens exactly once only if it is committed
together with the outcome.

The protocols of claims and of commits are also written down as small machines, of which every order of steps is tried:
kills, hangs and lost answers at each step of two workers, a rescuer, an operator and a resolver. Nothing breaks, and
without any one of their rules something does; its shortest story is told (`./dev test -s tests/model`).

## Faults

*Seen* is how many tests have seen the fault happen, each at least once; one in which it did not happen fails.

| | what is done | seen | tests | result |
|---|---|---:|---|---|
"""
_MUTANTS = """
## Mutants

A check that can't fail checks nothing. Each of these rules was broken in a copy of the product (`./dev mutants`), and
the test beside it failed.

| mutant | what is broken | the test that fails | result |
|---|---|---|---|
"""


@dataclass(slots=True, eq=False)
class Results:
    """Hears of each test as it ends; a pytest plugin."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.partition("[")[0]
        if report.failed:
            self.failed.add(test)
        elif report.when == "call" and report.passed:
            self.passed[test] += 1
            told = [value for name, value in report.user_properties if name == "faults" and isinstance(value, int)]
            self.faults[test] += sum(told) if told else 1

    def of(self, scenario: Scenario) -> tuple[int, str]:
        """How often its faults were seen, and how it ended."""
        tests = {test for test in {*self.passed, *self.failed} if _belongs(test, scenario.tests)}
        seen = sum(self.faults[test] for test in tests)
        if not scenario.tests:
            return 0, "not in a test"
        if any(test in self.failed for test in tests):
            return seen, "**fails**"
        return seen, "holds" if tests else "**not run**"


def _belongs(test: str, named: Iterable[str]) -> bool:
    return any(test == name or test.startswith((f"{name}::", f"{name}/")) for name in named)


def written(results: Results, verdicts: Sequence[Verdict]) -> str:
    """The page."""
    rows = [_scenario_row(scenario, *results.of(scenario)) for scenario in SCENARIOS]
    mutants = [_mutant_row(verdict.mutant, verdict.caught) for verdict in verdicts]
    return "\n".join([_HEAD + "\n".join(rows), _MUTANTS + "\n".join(mutants), ""])


def _scenario_row(scenario: Scenario, seen: int, result: str) -> str:
    tests = [f"`{test.removeprefix('tests/')}`" for test in scenario.tests]
    told = "<br>".join([*tests, *([scenario.note] if scenario.note else [])])
    return f"| {scenario.id} | {scenario.done} | {seen or ''} | {told} | {result} |"


def _mutant_row(mutant: Mutant, caught: bool) -> str:
    test = mutant.caught_by.removeprefix("tests/")
    return f"| {mutant.name} | {mutant.breaks} | `{test}` | {'caught' if caught else '**lives**'} |"


def main() -> int:
    """Run everything and write the page; 1 if something fails or lives."""
    results = Results()
    tests = sorted({test for scenario in SCENARIOS for test in scenario.tests})
    beside = ["-n", str((os.cpu_count() or 2) + 2), "--dist", "worksteal"]
    pytest.main(["-q", "-p", "no:cacheprovider", *beside, *tests], plugins=[results])
    verdicts = []
    for verdict in run():
        print(f"{'caught' if verdict.caught else 'LIVED '} {verdict.mutant.name}", flush=True)
        verdicts.append(verdict)
    PAGE.write_text(written(results, verdicts))
    print(PAGE.relative_to(ROOT))
    return 1 if results.failed or not all(verdict.caught for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
