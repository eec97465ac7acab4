"""Before any database: settings and handlers."""

from collections.abc import Iterator, Sequence

from scheduler.errors import SchedulerError
from scheduler.operations.doctor.facts import SettingsFacts
from scheduler.operations.doctor.finding import Code, Finding
from scheduler.operations.words import count_of, listed


def settings(facts: SettingsFacts) -> Iterator[Finding]:
    """Where settings come from, and which files are left alone."""
    if facts.sources:
        yield Finding.fine(Code.SETTINGS, f"Settings come from {listed(facts.sources)}.")
    else:
        yield Finding.fine(Code.SETTINGS, "Every setting has its default: no file and no variable holds any.")
    for file in facts.ignored:
        if not file.slips:
            yield Finding.fine(
                Code.SETTINGS_IGNORED, f"{file.path} has none of the scheduler's sections and is left alone."
            )
        for written, meant in file.slips.items():
            yield Finding.warning(
                Code.SETTINGS_IGNORED,
                f"{file.path} is ignored: {written!r} is not a section. Did you mean {meant!r}?",
                f"Rename it to {meant!r}, or move the file out of config/ if it is somebody else's.",
            )


def handlers(sources: Sequence[str], names: Sequence[str]) -> Finding:
    """What was found in the folders and modules of the setting `handlers`."""
    if names:
        return Finding.fine(Code.HANDLERS, f"{count_of(len(names), 'handler')} in {listed(sources)}: {listed(names)}.")
    return Finding.warning(
        Code.HANDLERS,
        f"No handler is declared in {listed(sources)}: a worker of this project can run nothing.",
        'Put @handler("name") on a function in a module there, or name other folders in the setting `handlers`.',
    )


def refused(code: Code, error: SchedulerError) -> Finding:
    """What stops every command, in the words of the error that says what to do."""
    return Finding.error(code, str(error), None)
