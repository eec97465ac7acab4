"""The command line: it parses and renders; operations act.

    root ── run, migrate, doctor         banner    what `run` shows before it starts
       ├─── cron, jobs, queues,          tables    rows for people, JSON for programs
       │    workers, db                  moments   times, written and read
       └─── project                      progress  what a terminal shows while something lasts

Modules here import nothing heavy before a command runs, so that `scheduler --help` answers at once.
"""

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from scheduler.errors import SchedulerError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 fine, 1 the thing asked for failed, 2 wrong usage or configuration."""
    from scheduler.cli.failures import exit_code, report
    from scheduler.cli.root import root

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a sign for something gets "?", not a traceback
    try:
        root(args=arguments, prog_name="scheduler")
    except SchedulerError as error:
        report(error)
        sys.exit(exit_code(error))
    sys.exit(0)
