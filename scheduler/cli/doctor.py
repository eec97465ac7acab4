"""`scheduler doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli import completion
from scheduler.cli.failures import FAILED
from scheduler.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scheduler.operations.doctor import Code, Finding


def doctor(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only what is not fine.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings as well.")] = False,
    page: Annotated[
        str | None,
        typer.Option(
            "--page",
            metavar="CODE",
            help="Print what a finding means, and do nothing else.",
            autocompletion=completion.pages,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Examine settings, handlers, message queues, the database, workers, queues and cron jobs.

    It changes nothing, and loads no database: each statement is bounded and ends after 5 s. Exits 1 if there is an
    error, for CI and for monitoring.

    Example: scheduler doctor
    Example: scheduler doctor --quiet --strict
    Example: scheduler doctor --page queue-unserved
    """
    if page is not None:
        _print_page(_code(page))
        return
    from scheduler.cli.doctor_report import print_report, worst
    from scheduler.cli.progress import live_line
    from scheduler.cli.tables import print_json
    from scheduler.operations.doctor import Level

    with live_line() as show:
        found = list(_examined(Path.cwd(), lambda title: show(f"Examining {title} …")))
    if as_json:
        print_json(
            {
                "findings": [_plain(subject, finding) for subject, finding in found],
                "counts": {level.value: sum(each.level is level for _, each in found) for level in Level},
            }
        )
    else:
        print_report(found, quiet=quiet)
    if worst(found) is Level.ERROR or (strict and worst(found) is Level.WARNING):
        raise typer.Exit(FAILED)


def _examined(folder: Path, begins: "Callable[[str], None]") -> "Iterator[tuple[str, Finding]]":
    from scheduler.cli.doctor_facts import Patient
    from scheduler.operations.doctor import examine

    patient = Patient(folder)
    begins("settings and handlers")
    yield from (("Settings", finding) for finding in patient.settings())
    begins("message queues")
    yield from (("Messages", finding) for finding in patient.messages())
    begins("the project's database")
    with patient.database() as facts:
        yield from (("Database", finding) for finding in patient.refusals)
        if facts is not None:
            yield from examine(facts, begins)


def _plain(subject: str, finding: "Finding") -> dict[str, object]:
    return {
        "subject": subject,
        "code": finding.code,
        "level": finding.level,
        "says": finding.says,
        "fix": finding.fix,
        "sql": list(finding.sql),
        "page": finding.page,
    }


def _code(text: str) -> "Code":
    from scheduler.errors import did_you_mean
    from scheduler.operations.doctor import Code

    try:
        return Code(text.strip().rpartition("#")[2].lower())
    except ValueError:
        known = [code.value for code in Code]
        hint = did_you_mean(text, known) or f" There are {', '.join(known)}."
        raise typer.BadParameter(f"{text!r} is no finding.{hint}", param_hint="--page") from None


def _print_page(code: "Code") -> None:
    from scheduler.operations.doctor.page import section

    typer.echo(f"{code}\n\n{section(code)}")
