"""upkeep: look after what a worker runs. Cancels, progress, claims that wait too long, attempts that won't stop."""

from contextlib import suppress
from uuid import UUID

from scheduler.rules.retry import delay_seconds
from scheduler.services.slots import Slots
from scheduler.store.executions import Executions
from scheduler.store.session import RowRefused


class Upkeep:
    def __init__(self, slots: Slots, executions: Executions, lease_seconds: float) -> None:
        """`lease_seconds`: how long the next try of an attempt that won't stop is held back at a time."""
        self.slots, self.executions, self.lease_seconds = slots, executions, lease_seconds

    async def watch(self, worker: UUID) -> None:
        """Everything that what runs needs, once."""
        if self.slots.attempts:
            await self._watch_cancels(worker)
            await self._write_progress()
            if self.slots.must_return:  # let others have what waits here
                await self.return_waiting()
            await self._hold_back_overdue()

    async def return_waiting(self) -> None:
        """Hand back what was claimed and not begun."""
        if claims := self.slots.withdraw():
            self.slots.returned(claims, await self.executions.release(claims))

    async def let_go(self) -> bool:
        """What would not stop and now has may be tried again, after the wait it would have had; True if any was."""
        ended = self.slots.ended_overdue
        any_was = False
        while ended and not self.slots.holds(ended[0]):  # else its timeout is yet to be recorded
            claim = ended[0]
            wait = delay_seconds(claim.retry_backoff, claim.retry_delay_seconds, claim.retry_count + 1)
            await self.executions.let_go(claim.id, claim.attempt, wait)
            ended.pop(0)
            any_was = True
        return any_was

    async def _watch_cancels(self, worker: UUID) -> None:
        reasons = {(id_, token): reason for id_, token, reason in await self.executions.cancels_asked(worker)}
        if reasons:
            for attempt in self.slots.attempts_of(reasons):
                attempt.ask_to_stop(reasons[attempt.claim.id, attempt.claim.token])

    async def _write_progress(self) -> None:
        reports = [
            (a.claim.id, a.claim.token, latest.fraction, latest.message)
            for a in list(self.slots.attempts.values())
            if not a.over and (latest := a.context.take_progress()) is not None
        ]
        if not reports:
            return
        try:
            await self.executions.write_progress(reports)
        except RowRefused:  # by a trigger of the user's on one of them
            for report in reports:
                with suppress(*RowRefused):
                    await self.executions.write_progress([report])

    async def _hold_back_overdue(self) -> None:
        overdue = [a.claim for a in self.slots.attempts.values() if a.overdue]
        if overdue:
            await self.executions.hold_back([(c.id, c.attempt, self.lease_seconds) for c in overdue])
