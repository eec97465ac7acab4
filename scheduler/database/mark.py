"""Points to which a transaction can be rolled back, in all of its databases or in some."""

from collections.abc import Sequence

from scheduler.database.participant import Participant


class Mark:
    """SAVEPOINT in each database that has begun; in the others nothing, which is where rolling back leads."""

    def __init__(self, name: str, participants: Sequence[Participant], inner_error: BaseException | None) -> None:
        """`inner_error`: what had gone wrong before, and so isn't undone by rolling back."""
        self.name, self.participants, self.inner_error = name, participants, inner_error
        self._set_in = {participant.name for participant in participants if participant.begun}

    def set(self) -> None:
        for participant in self.participants:
            participant.savepoint(self.name)

    def release(self) -> None:
        for participant in self.participants:
            participant.release_savepoint(self.name, set_here=participant.name in self._set_in)

    def roll_back(self) -> None:
        for participant in self.participants:
            participant.roll_back_to(self.name, set_here=participant.name in self._set_in)
