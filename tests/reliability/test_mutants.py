"""The mutants are up to date: `./dev mutants` runs them all."""

import ast
import shutil
from pathlib import Path

import pytest

from tests.reliability.mutants import MUTANTS, ROOT, Edit, Mutant, run


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_fits_the_code_and_names_a_test(mutant: Mutant, tmp_path: Path) -> None:
    for file in {edit.file for edit in mutant.edits}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    for edit in mutant.edits:
        before = (tmp_path / edit.file).read_text()
        edit.apply(tmp_path)
        assert (tmp_path / edit.file).read_text() != before
    module, _, name = mutant.caught_by.partition("::")
    tests = {node.name for node in ast.walk(ast.parse((ROOT / module).read_text())) if hasattr(node, "name")}
    assert name in tests


def test_one_that_no_longer_fits_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(): return 1\n")
    with pytest.raises(ValueError, match=r"a\.py has no 'return 2' after 'def f'"):
        Edit("a.py", "return 2", "return 3", after="def f").apply(tmp_path)


def test_one_is_caught_and_one_that_breaks_nothing_lives() -> None:
    (caught,) = (mutant for mutant in MUTANTS if mutant.name == "catch-up-unbounded")
    harmless = Mutant(
        "harmless", "nothing", caught.caught_by,
        (Edit("scheduler/rules/catch_up.py", "return max(0, limit)", "return max(limit, 0)"),),
    )  # fmt: skip
    assert [verdict.caught for verdict in run((caught, harmless))] == [True, False]
