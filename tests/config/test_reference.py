"""docs/settings.md is complete: the table is the classes', and its samples are settings that load."""

import re
from pathlib import Path

import pytest

from scheduler.config.reference import BEGIN, END, entries, table, write_into
from tests.config.conftest import Project

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_lists_every_setting() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table(), (
        "Run `python -m scheduler.config docs/settings.md`."
    )


def test_the_page_lists_every_other_variable() -> None:
    read = re.compile(r"""environ(?:\.\w+\(|\[)"([A-Z_]+)"|^_?[A-Z_]+ = "(SCHEDULER_[A-Z_]+)\"""", re.MULTILINE)
    sources = [path.read_text() for path in (PAGE.parents[1] / "scheduler").rglob("*.py")]
    names = {name for source in sources for match in read.findall(source) for name in match if name}
    assert names >= {"SCHEDULER_PG_BIN", "SCHEDULER_REPORTS_TO", "EDITOR"}
    ours = {name for name in names if "__" not in name} - {"PGCONNECT_TIMEOUT"}  # no settings, nor libpq
    page = PAGE.read_text()
    assert [name for name in sorted(ours) if f"`{name}`" not in page] == []


def test_every_setting_says_what_it_means() -> None:
    assert [entry.path for entry in entries() if not entry.field.description] == []
    assert len({entry.path for entry in entries()}) == len(entries()) > 40


def test_the_table_is_written_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "settings.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")

    write_into(page)

    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{table()}\n{END}\nafter\n"


def samples() -> list[tuple[str, str]]:
    """Each fenced sample of the page, with the file name that its first comment gives."""
    blocks: list[str] = re.findall(r"^```\w+\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [(block.splitlines()[0].removeprefix("# "), block) for block in blocks]


def test_the_samples_for_two_files_load_together(project: Project) -> None:
    for name, text in samples():
        if name.startswith("config/") or name == ".env":
            project.write(name, text)

    settings = project.load()

    assert {path.name for path in settings.sources} == {"worker.yaml", "database.yaml", ".env"}
    assert settings.database_named


@pytest.mark.parametrize("index", range(2))
def test_the_samples_for_one_file_load(project: Project, index: int) -> None:
    text = [text for name, text in samples() if name == "scheduler.yaml"][index]
    path = project.write("scheduler.yaml", text)

    assert project.load().sources == (path,)
