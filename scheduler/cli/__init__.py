"""The command line: it parses and renders; operations act.

    root ── run, migrate, doctor         banner    what `run` shows before it starts
       ├─── cron, jobs, queues,          tables    rows for people, JSON for programs
       │    workers, web, db                moments   times, written and read
       └─── project                      progress  what a terminal shows while something lasts

Modules here import nothing heavy before a command runs, so that `scheduler --help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

import typer

from scheduler.errors import SchedulerError

INTERRUPTED = 130
"""What a shell makes of SIGINT."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 fine, 1 the thing asked for failed, 2 wrong usage or configuration."""
    from scheduler.cli.failures import FAILED, exit_code, report
    from scheduler.cli.root import root

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a sign for something gets "?", not a traceback
    try:
        sys.exit(_code_of(root, arguments))
    except SchedulerError as error:
        report(error)
        sys.exit(exit_code(error))
    except OSError as error:  # a folder that is gone or closed to us, a disk that is full
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        typer.echo(f"error: {what} (in {_current_folder()}).", err=True)
        sys.exit(FAILED)


def _code_of(root: typer.Typer, arguments: Sequence[str] | None) -> str | int | None:
    """Its exit code; what it has said is written by then, or OSError tells why it isn't."""
    typed = sys.argv[1:] if arguments is None else [*arguments]
    if typed[:1] == ["help"]:
        typed = [*typed[1:], "--help"]
    try:
        code = root(args=typed, prog_name="scheduler", standalone_mode=False)
    except typer.Abort:  # Ctrl-C at a question
        code = INTERRUPTED
    except typer.TyperException as error:
        from scheduler.cli.wrong_usage import tell

        tell(error)
        code = error.exit_code
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    return code or 0


def _current_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "a folder that is not there any more: change into another one"
