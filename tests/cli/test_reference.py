"""docs/commands.md: written from the commands, and complete."""

from scheduler.cli.reference import PAGE, page
from tests.cli.test_usage import COMMANDS


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/commands.md is not what --help says: run `./dev docs`."


def test_every_command_has_its_section() -> None:
    sections = {line.removeprefix("## ") for line in page().splitlines() if line.startswith("## ")}
    assert sections == {f"scheduler {' '.join(command)}" for command in COMMANDS}
