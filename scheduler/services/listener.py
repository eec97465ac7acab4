"""listener: rings the bells of this process when the database notifies of work, an edit or a cancel."""

from scheduler.messages import log
from scheduler.services.wakeups import Wakeups
from scheduler.store.notifications import ANSWER_SECONDS, Notifications

PING_SECONDS = 15.0


class Listener:
    def __init__(self, notifications: Notifications, wakeups: Wakeups) -> None:
        self.notifications, self.wakeups = notifications, wakeups
        self._told = False

    @property
    def sleeps(self) -> float:
        """The longest silence, in seconds, with the answer to the ping at its end."""
        return PING_SECONDS + ANSWER_SECONDS

    async def round(self) -> None:
        """One wake-up, or one silence. After a gap everybody looks once: a notification may have been missed."""
        try:
            if await self.notifications.wait(PING_SECONDS):
                self.wakeups.ring()
            self._tell()
        except Exception:
            await self.notifications.close()
            raise

    def _tell(self) -> None:
        if self.notifications.deaf and not self._told:
            log("listener.deaf")
        self._told = self.notifications.deaf
