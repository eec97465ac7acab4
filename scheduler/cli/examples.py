"""The examples of a command's docstring: a section of their own at the end of its help, each on one line to copy."""

import inspect
from collections.abc import Iterator

import typer
from typer.models import CommandInfo, TyperInfo

MARK = "Example: "
_AS_IT_IS = "\b\n"
"""What keeps the lines of a paragraph from being filled."""


def show_examples_last(app: typer.Typer) -> None:
    """Of every command of `app` and of the groups below it, and of a group that does something itself."""
    for command in app.registered_commands:
        _divide(command)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            own = group.typer_instance.registered_callback
            if own is not None and own.invoke_without_command is True:
                _divide(own)
            show_examples_last(group.typer_instance)


def _divide(command: CommandInfo | TyperInfo) -> None:
    text, *examples = inspect.cleandoc(command.help or inspect.getdoc(command.callback) or "").split(MARK)
    command.help = text.strip()
    if examples:
        command.epilog = _AS_IT_IS + "\n".join(["Examples:", *_on_a_line(examples)])


def _on_a_line(examples: list[str]) -> Iterator[str]:
    for example in examples:
        yield "  " + " ".join(example.split())
