"""docs/commands.md: every command with its help, as it is shown. `python -m scheduler.cli.reference` writes it anew."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer
from typer.main import get_command

from scheduler.cli.root import root

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
_WIDTH: Final = 100
_HEAD: Final = """\
# Commands

Written by `./dev docs` from the commands themselves: what stands here is what `--help` says.

Every command reads its settings from the current folder ([settings](settings.md)) and works on the job database that
they name, or on the embedded one in `.scheduler/`. Lists and answers are tables for people, and JSON with `--json`;
they go to stdout, notes and warnings to stderr. `python -m scheduler` is the same as `scheduler`.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | what was asked for failed or was answered with no, or work had to be abandoned |
| 2 | wrong usage or configuration |

`scheduler --install-completion` teaches the shell to complete commands, options, and the names of cron jobs, handlers
and queues.
"""


def page() -> str:
    """The whole page, as Markdown."""
    sections = list(_sections())
    contents = "\n".join(f"- [`{name}`](#{name.replace(' ', '-')}): {summary}" for name, summary, _ in sections)
    return "\n".join([_HEAD, contents, *(f"\n## {name}\n\n```\n{text}\n```" for name, _, text in sections), ""])


def _sections() -> Iterator[tuple[str, str, str]]:
    """The name, the first sentence and the help of each command, in the order of the groups' help."""
    command = get_command(root)
    waiting = [(f"scheduler {name}", below) for name, below in vars(command)["commands"].items()]
    while waiting:
        name, command = waiting.pop(0)
        below = vars(command).get("commands", {})
        if below:
            waiting[:0] = [(f"{name} {word}", inner) for word, inner in below.items()]
        if not command.hidden and (not below or vars(command)["invoke_without_command"]):
            context = typer.Context(command, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH)
            yield name, command.get_short_help_str(limit=200), command.get_help(context).rstrip()


if __name__ == "__main__":
    sys.stdout.write(f"{PAGE}\n")
    PAGE.write_text(page(), encoding="utf-8")
