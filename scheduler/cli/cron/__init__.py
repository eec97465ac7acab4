"""`scheduler cron …`: a module a command, or two that belong together.

    add, edit ─── options        what a cron job may be told, and how that is spelled
         edit ─── document       a row as YAML, for an editor
    list, show ── ticks          the next ones, as a table
    pause, resume, remove: states
    backfill, skip               ticks of the past that shall run, and of the future that shall not
    explain, preview             what an expression means, without a row or with one
    plan, apply ─ diff           what is declared, beside its rows

They parse and render; operations/cron_jobs and its neighbours act.
"""

import typer

from scheduler.cli.cron import add, backfill, edit, explain, listing, plan, preview, run, show, skip, states
from scheduler.cli.cron.options import TAKES_AN_EXPRESSION

group = typer.Typer(no_args_is_help=True, help="Cron jobs: add, see, edit, pause, run, explain.")

group.command(context_settings=TAKES_AN_EXPRESSION)(add.add)
group.command("list")(listing.list_cron_jobs)
group.command()(show.show)
group.command(context_settings=TAKES_AN_EXPRESSION)(edit.edit)
group.command()(states.pause)
group.command()(states.resume)
group.command()(states.remove)
group.command()(run.run)
group.command()(backfill.backfill)
group.command()(skip.skip)
group.command(context_settings=TAKES_AN_EXPRESSION)(explain.explain)
group.command("preview", context_settings=TAKES_AN_EXPRESSION)(preview.preview_ticks)
group.command()(plan.plan)
group.command()(plan.apply)
