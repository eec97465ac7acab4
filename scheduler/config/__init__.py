"""Settings: read once at start, checked in sentences, handed on as frozen values.

    scheduler.yaml | config/*.yaml  ─┐
    .env                            ─┼─►  one tree  ─►  Settings
    SCHEDULER_* variables           ─┘  (later wins)

Each problem names the file and line, or the variable, and what to write there; values that may hold a secret are never
repeated. Files under `config/` without any of our sections belong to somebody else and are left alone.
"""

from scheduler.config.cron_jobs import CronJobSettings, declared
from scheduler.config.database import DatabaseSettings
from scheduler.config.load import load_settings
from scheduler.config.messaging import ConsumerSettings, DriverSettings, MessageQueueSettings
from scheduler.config.settings import LogSettings, RetentionSettings, Settings, WorkerSettings

__all__ = [
    "ConsumerSettings",
    "CronJobSettings",
    "DatabaseSettings",
    "DriverSettings",
    "LogSettings",
    "MessageQueueSettings",
    "RetentionSettings",
    "Settings",
    "WorkerSettings",
    "declared",
    "load_settings",
]
