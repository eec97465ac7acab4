"""What of the settings is left alone: told when a command starts, for it is no error."""

from scheduler.config.settings import Settings
from scheduler.messages import log


def tell_ignored(settings: Settings) -> None:
    """One warning for each section under `config/` whose file was left alone because of a slip in its name."""
    for file in settings.ignored:
        for written, meant in file.slips.items():
            log("settings.ignored", file=file.path, written=written, meant=meant)
