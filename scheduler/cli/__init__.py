"""The command line: it parses and renders; operations act.

    root ── run, migrate                 banner    what `run` shows before it starts
       ├─── cron, jobs, workers, db      tables    rows for people, JSON for programs
       └─── project                      moments   times, written and read

Modules here import nothing heavy before a command runs, so that `scheduler --help` answers at once.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

from scheduler.errors import SchedulerError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 fine, 1 the thing asked for failed, 2 wrong usage or configuration."""
    from scheduler.cli.failures import exit_code, report
    from scheduler.cli.root import root

    try:
        root(args=arguments, prog_name="scheduler")
    except SchedulerError as error:
        report(error)
        sys.exit(exit_code(error))
    sys.exit(0)
