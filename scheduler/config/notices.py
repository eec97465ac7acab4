"""What the settings say that is not done: told when a command starts, for none of it is an error."""

from collections.abc import Iterator

from scheduler.config.settings import NOT_YET, Settings
from scheduler.messages import log


def tell_ignored(settings: Settings) -> None:
    """One warning for each section under `config/` whose file was left alone because of a slip in its name."""
    for file in settings.ignored:
        for written, meant in file.slips.items():
            log("settings.ignored", file=file.path, written=written, meant=meant)


def tell_not_yet(settings: Settings) -> None:
    """One warning for each thing that is asked for and that this version does not do."""
    for setting in unused(settings):
        log("settings.not_yet", setting=setting)


def unused(settings: Settings) -> Iterator[str]:
    """The names of settings that are asked for and do nothing yet."""
    yield from (name for name in NOT_YET if name in settings.model_fields_set and getattr(settings, name))
