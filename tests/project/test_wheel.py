"""What travels: a wheel, also one made from the sdist, carries the migrations, their settings and the examples."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".venv*", ".git", ".scheduler", ".*_cache", "dist", "build")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the litter that work leaves behind."""
    copy = shutil.copytree(
        ROOT, tmp_path_factory.mktemp("wheel") / "checkout", ignore=shutil.ignore_patterns(*LEFT_OUT)
    )
    for folder in ("scheduler", "migrations", "handlers"):
        (copy / folder / "__pycache__").mkdir(exist_ok=True)
        (copy / folder / "__pycache__" / "litter.cpython-311.pyc").touch()
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    return build(checkout, "wheel")


def build(folder: Path, target: str) -> Path:
    """Build with the hatchling that is installed, so that nothing is fetched."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target], cwd=folder, check=True, capture_output=True
    )
    (built,) = (folder / "dist").glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_what_an_installed_product_needs_is_inside(wheel: Path) -> None:
    inside = names(wheel)
    for carried in ("migrations", "handlers"):
        files = {path for path in (ROOT / carried).rglob("*") if path.is_file() and path.suffix != ".pyc"}
        expected = {f"scheduler/_bundled/{path.relative_to(ROOT)}" for path in files}
        assert expected
        assert expected <= inside
    assert {"scheduler/_bundled/alembic.ini", "scheduler/_bundled/docs/doctor.md"} <= inside
    assert {"scheduler/store/queries.sql", "scheduler/store/doctor.sql", "scheduler/py.typed"} <= inside


def test_nothing_else_is_inside(wheel: Path) -> None:
    package, metadata = sorted({name.split("/")[0] for name in names(wheel)}, key=len)
    assert package == "scheduler"
    assert metadata.endswith(".dist-info")
    assert [name for name in names(wheel) if "__pycache__" in name or name.endswith(".pyc") or "/tests/" in name] == []


def test_the_licence_travels_too(wheel: Path) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in names(wheel))


def test_the_wheel_of_the_sdist_is_the_same(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "xf", build(checkout, "sdist"), "-C", tmp_path], check=True)
    (unpacked,) = tmp_path.iterdir()
    assert (unpacked / "dev").exists()
    assert names(build(unpacked, "wheel")) == names(wheel)


def test_an_unpacked_wheel_finds_its_migrations_from_any_directory(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    alembic = [sys.executable, "-m", "alembic", "-c", str(site / "scheduler" / "_bundled" / "alembic.ini"), "heads"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    heads = subprocess.run(alembic, cwd=elsewhere, env=environment, check=True, capture_output=True, text=True)
    assert "(head)" in heads.stdout
