"""How a transaction commits, as far as that is settled when it opens: which databases, in which order, by whose word.

one database                   COMMIT
several                        two-phase commit; the job database decides, and is always the last
one on a best effort as well   commits just before; when what follows fails, that is a PartialCommitError
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import psycopg
from sqlalchemy import Engine

from scheduler.clock import monotonic
from scheduler.database.database import Atomicity, Database
from scheduler.database.participant import Participant
from scheduler.database.two_phase import Reread, TwoPhaseCommit, Work, installation_of, require_prepares
from scheduler.errors import CommitUnknownError, DatabaseError, PartialCommitError, TransactionError

_REREAD_SECONDS: Final = 30.0
_STATUS: Final = "SELECT pg_xact_status(%(id)s::xid8)"

__all__ = ["CommitPlan", "LastAct", "Reread"]


@dataclass(frozen=True, slots=True)
class LastAct:
    """What is written into the job database at the end, by whoever does the work that the transaction is about."""

    do: Callable[[Participant], None]
    work: Work


@dataclass(frozen=True, slots=True)
class CommitPlan:
    databases: Sequence[Database]
    """In the order in which every transaction opens and locks them: by name, the job database last."""
    job: Database | None
    """The one that decides, where there is more than one to agree."""
    last_act: LastAct | None

    @classmethod
    def of(cls, named: Sequence[Database], job: Database | None, last_act: LastAct | None) -> Self:
        """Raises TransactionError when these can't be committed as one."""
        job_name = None if job is None else job.name
        preparing = [each for each in named if each.name != job_name and _is_two_phase(each)]
        has_job = any(each.name == job_name for each in named) or last_act is not None
        decides = bool(preparing) and len(preparing) + has_job > 1
        if (decides or last_act is not None) and job is None:
            raise TransactionError(
                f"Databases {', '.join(each.name for each in named)} are committed as one by a decision in the job "
                "database, and none is configured: name it by DatabaseRegistry.configure(…, job=…)."
            )
        opened = {each.name: each for each in named}
        if job is not None and (decides or last_act is not None):
            opened[job.name] = job
        ordered = sorted(opened.values(), key=lambda each: (each.name == job_name, each.name))
        return cls(ordered, job if decides else None, last_act)

    def participant(self, database: Database, engine: Engine) -> Participant:
        """Check out a connection. Raises TransactionError when this database can't do its part."""
        decides = self.job is not None and database.name == self.job.name
        prepares = self.job is not None and not decides and _is_two_phase(database)
        participant = Participant(database, engine, bounded=len(self.databases) > 1, prepares=prepares)
        try:
            if prepares:
                require_prepares(participant)
            if decides:
                installation_of(participant)
        except BaseException:
            participant.release()
            raise
        return participant

    def commit(self, participants: Sequence[Participant], reread: Reread) -> None:
        """Raises TransactionError, CommitUnknownError or PartialCommitError."""
        others = [each for each in participants if each.prepares and each.begun]
        job = participants[-1]
        has_job = job.begun or self.last_act is not None
        rest = [each for each in participants if not each.prepares and each.begun and each is not job]
        if self.job is not None and others and len(others) + has_job > 1:
            act, work = (None, Work()) if self.last_act is None else (self.last_act.do, self.last_act.work)
            TwoPhaseCommit(job, others, rest).run(act, work, reread)
            return
        if self.last_act is not None:
            self.last_act.do(job)
        _one_after_the_other([each for each in participants if each.begun], reread if self.last_act is None else None)


def _is_two_phase(database: Database) -> bool:
    return database.options.atomicity is Atomicity.TWO_PHASE


def _one_after_the_other(participants: Sequence[Participant], reread: Reread | None) -> None:
    """Without `reread`, whoever did the last act reads what became of it."""
    # What must not be left out comes last: a `two_phase` one; among equals the job database, as they were opened.
    waiting = sorted(participants, key=lambda each: _is_two_phase(each.database))
    committed: list[str] = []
    while waiting:
        try:
            _commit(waiting[0], reread)
        except TransactionError as error:
            if not committed:
                raise
            raise PartialCommitError(committed, [each.name for each in waiting]) from error
        committed.append(waiting.pop(0).name)


def _commit(participant: Participant, reread: Reread | None) -> None:
    number = None if reread is None else participant.transaction_id()
    try:
        participant.commit()
    except CommitUnknownError as unknown:
        if reread is None:
            raise
        if number is not None and not _was_committed(participant.database, number, reread, unknown):
            raise TransactionError(f"{unknown.lost} It was not committed.") from unknown


def _was_committed(database: Database, number: str, reread: Reread, unknown: CommitUnknownError) -> bool:
    """As the server says, once it can. Raises `unknown` when it doesn't for too long."""
    deadline = monotonic() + _REREAD_SECONDS
    wait = 0.05
    while monotonic() < deadline:
        match _status_of(database, number, reread):
            case "committed":
                return True
            case "aborted":
                return False
        reread.pause(wait)  # it is away, or still at it
        wait = min(1.0, wait * 2)
    raise unknown


def _status_of(database: Database, number: str, reread: Reread) -> str | None:
    try:
        again = reread.connect(database)
    except DatabaseError:
        return None
    try:
        ((status,),) = again.query(_STATUS, {"id": number})
    except psycopg.Error:
        return None
    finally:
        again.release()
    return None if status is None else str(status)
