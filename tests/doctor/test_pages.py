"""docs/doctor.md and the codes of the findings: one section each, and each code is found by some check."""

import re
from pathlib import Path

import pytest

from scheduler.database import reaching
from scheduler.operations import doctor
from scheduler.operations.doctor import Code
from scheduler.operations.doctor.page import section, sections

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "doctor.md"
SOURCES = [*Path(doctor.__file__).parent.glob("*.py"), ROOT / "scheduler" / "cli" / "doctor_facts.py"]


def test_each_code_has_its_section_and_each_section_its_code() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(Code)
    assert set(sections()) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_a_section_says_what_it_means_and_what_to_do(code: Code) -> None:
    assert "**Fix:**" in section(code)
    assert len(section(code).partition("**Fix:**")[0]) > 40
    assert "\n## " not in section(code)


def test_each_code_is_somewhere_found() -> None:
    used = set(re.findall(r"\bCode\.(\w+)", "".join(file.read_text() for file in SOURCES)))
    by_the_driver = {cause.code for cause in reaching._CAUSES} | {"database-unreachable", "database-read-only"}
    assert used | {Code(code).name for code in by_the_driver} == {code.name for code in Code}


def test_links_between_sections_lead_somewhere() -> None:
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE.read_text())) <= set(Code)
