"""`python -m handlers` puts the cron jobs of cron_jobs.sql into the embedded job database of the current folder."""

import sys
from contextlib import closing
from pathlib import Path

from scheduler.app import Project
from scheduler.cli.failures import exit_code, report
from scheduler.errors import SchedulerError

CRON_JOBS = Path(__file__).with_name("cron_jobs.sql")


def main() -> None:
    with (
        closing(Project.open(Path.cwd(), embedded=True)) as project,
        closing(project.session("scheduler samples")) as session,
        session.transaction() as connection,
    ):
        connection.execute(CRON_JOBS.read_bytes())


try:
    main()
except SchedulerError as error:
    report(error)
    sys.exit(exit_code(error))
