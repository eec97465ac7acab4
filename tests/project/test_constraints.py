"""`constraints.txt` fits `pyproject.toml`, checks every file by its hash, and names no host."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "constraints.txt").read_text()
PINS = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", TEXT, re.MULTILINE)}


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    return sorted({line for line in asked if Requirement(line).name != project["name"]})


@pytest.mark.parametrize("line", requirements())
def test_what_is_asked_for_is_pinned(line: str) -> None:
    requirement = Requirement(line)
    version = PINS.get(canonicalize_name(requirement.name))
    assert version is not None, f"run the command at the top of constraints.txt: {requirement.name} is new"
    assert requirement.specifier.contains(version), (
        f"run the command at the top of constraints.txt: {version} is pinned"
    )


def test_each_pin_has_hashes() -> None:
    entries = re.split(r"^(?=[A-Za-z])", TEXT, flags=re.MULTILINE)[1:]
    # One name may be pinned twice, for other versions of Python.
    assert {canonicalize_name(entry.partition("==")[0]) for entry in entries} == set(PINS)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_no_host_is_named() -> None:
    assert "://" not in TEXT
    assert "index" not in TEXT
