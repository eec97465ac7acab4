"""A new project that was made: what it consists of, and what to type next."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import typer

from scheduler.cli.moments import relative
from scheduler.cli.tables import print_json
from scheduler.operations.new_project import IGNORED, SECRETS, Made, NewProject


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to tell of."""

    folder: Path
    """As it was typed."""
    new: NewProject
    made: Made
    embedded: bool


def tell(report: Report, *, as_json: bool) -> None:
    """What was made, and what to type now."""
    if as_json:
        print_json(
            {
                "folder": str(report.folder.absolute()),
                "files": [file.path for file in report.made.placed.files],
                "kept": report.made.placed.kept,
                "database": "embedded" if report.embedded else "url",
                "cron_job": report.made.first_tick,
                "next": [command for command, _ in _next(report)],
            }
        )
    else:
        _print(report)
    if _is_secret_in_the_open(report):
        typer.echo("warning: .env holds the url, and .gitignore, which was there, does not name it: add it.", err=True)


def _print(report: Report) -> None:
    typer.echo(f"Made a project in {report.folder.absolute()}:")
    _print_pairs([(file.path, file.about) for file in report.made.placed.files])
    if (tick := report.made.first_tick) is not None:
        typer.echo(f"and the cron job {tick.name}, {tick.expression}, due {relative(tick.at, tick.added_at)}.")
    typer.echo("\nNow type:")
    _print_pairs(_next(report))


def _print_pairs(pairs: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in pairs)
    for name, about in pairs:
        typer.echo(f"  {name:<{width}}  {about}".rstrip())


def _next(report: Report) -> list[tuple[str, str]]:
    """Commands, and what each is for."""
    handler, expression = report.new.handler_name, report.new.cron_expression
    commands = []
    if report.folder.absolute() != Path.cwd():
        commands.append((f"cd {quote(str(report.folder))}", ""))
    if report.made.first_tick is None:
        add = f"scheduler cron add {handler} {quote(expression)} {handler}"
        commands += [("scheduler migrate", "makes the scheduler's tables"), (add, "makes a cron job for the handler")]
    return [
        *commands,
        ("scheduler run", "plans and runs, until Ctrl-C; then in a second terminal:"),
        ("scheduler jobs list", "what ran, and how it ended"),
        ("scheduler cron list", "what runs when"),
        ("scheduler db psql", "all of it, in SQL"),
    ]


def _is_secret_in_the_open(report: Report) -> bool:
    written = {file.path for file in report.made.placed.files}
    if SECRETS not in written or IGNORED in written:
        return False
    lines = (report.folder / IGNORED).read_text(encoding="utf-8", errors="replace").splitlines()
    return not {SECRETS, f"/{SECRETS}"} & {line.strip() for line in lines}
