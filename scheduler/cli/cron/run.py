"""`scheduler cron run`."""

from typing import Annotated

import typer

from scheduler.cli import completion
from scheduler.cli.options import AsJson
from scheduler.cli.project import connected, warn_of_handler
from scheduler.cli.waiting import AtMost, tell, wait_for


def run(
    name: Annotated[str, typer.Argument(help="As `cron list` prints it.", autocompletion=completion.cron_jobs)],
    wait: Annotated[bool, typer.Option("--wait", help="Until it is final, and tell how it ended.")] = False,
    at_most: AtMost = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue an execution of a cron job now, apart from its schedule, and print its id.

    Also of one that is paused. It waits for the execution before it where they may not overlap. With --wait, it exits
    1 unless it succeeded.

    Example: scheduler cron run nightly --wait
    """
    from scheduler.cli.tables import print_json
    from scheduler.operations.cron_job_changes import run as run_it
    from scheduler.operations.cron_job_page import find

    if at_most is not None and not wait:
        raise typer.BadParameter("it goes with --wait.", param_hint="--for")
    with connected() as (project, session):
        enqueued, job = run_it(session, name), find(session, name, only_look=True)
        warn_of_handler(project, job.handler_name, None if job.params_hidden else job.handler_params)
        if wait:
            ended = wait_for(session, [enqueued], at_most)
    if wait:
        tell(ended, as_json=as_json, alone=True)
    elif as_json:
        print_json({"id": enqueued})
    else:
        typer.echo(enqueued)
