"""Two-phase commit whose decision is a row: all participants, or none, whatever ends in between.

    others           PREPARE ───┐                                  ┌─ COMMIT PREPARED
    job database     lock ──────┴─ last act, decision row, COMMIT ─┘

Up to that COMMIT nothing is decided, and whoever finds what was prepared may decide ABORT; by it, everything is. What a
coordinator doesn't get to do afterwards, `recovery` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import psycopg

from scheduler import failpoints
from scheduler.clock import monotonic
from scheduler.database import decisions
from scheduler.database.database import Database
from scheduler.database.libpq import connect_sync
from scheduler.database.participant import Participant
from scheduler.errors import CommitUnknownError, DatabaseError, PartialCommitError, TransactionError
from scheduler.messages import log

DECIDE_SECONDS: Final = 30.0
"""From the first PREPARE to the decision; after that everything is rolled back."""

_ROOM: Final = "SELECT current_setting('max_prepared_transactions')::integer"


@dataclass(frozen=True, slots=True)
class Work:
    """Whose transaction it is, for people who look at job_transactions."""

    execution: int | None = None
    token: UUID | None = None


@dataclass(frozen=True, slots=True)
class Reread:
    """How to learn about a COMMIT that was not answered."""

    connect: Callable[[Database], Participant]
    pause: Callable[[float], None]


def require_prepares(participant: Participant) -> None:
    """Raises TransactionError when its server can't prepare transactions. Asked once per database."""
    database = participant.database
    if database.can_prepare:
        return
    try:
        ((most,),) = participant.query(_ROOM)
    except psycopg.Error as error:
        raise TransactionError(
            f"Database {database.name!r} can't prepare transactions ({error}), so nothing over it and another "
            f"database is atomic: set `databases.{database.name}.atomicity: best_effort` to do without."
        ) from error
    if most == 0:
        raise TransactionError(cannot_prepare(database.name))
    database.can_prepare = True


def room_for_prepared(database: Database) -> int | None:
    """How many transactions its server can hold prepared; None when it doesn't say."""
    options = database.options
    try:
        with connect_sync(
            options.url, application_name="scheduler start", connect_timeout_seconds=options.connect_timeout_seconds
        ) as connection:
            row = connection.execute(_ROOM).fetchone()
    except psycopg.Error:
        return None
    return None if row is None else int(row[0])


def cannot_prepare(name: str) -> str:
    """What to do about a database whose server has no room for prepared transactions."""
    return (
        f"Database {name!r} can't prepare transactions, so nothing over it and another database is atomic. Set "
        f"max_prepared_transactions = 64 on that server and restart it, or `databases.{name}.atomicity: best_effort`."
    )


def installation_of(job: Participant) -> str:
    """Whose transactions they are. Raises TransactionError without the scheduler's tables. Asked once per database."""
    database = job.database
    if database.installation is None:
        try:
            rows = job.query(decisions.rendered(decisions.INSTALLATION, database.options.schema))
        except psycopg.Error as error:
            raise TransactionError(
                f"The job database {database.name!r} can't hold the decision of a two-phase commit: "
                f"{str(error).partition(chr(10))[0]}. Run `scheduler migrate`; `scheduler doctor` tells more."
            ) from error
        if not rows:
            raise TransactionError(
                f"The job database {database.name!r} has no name of its own, as after a restore without data: "
                "INSERT INTO job_installation DEFAULT VALUES."
            )
        database.installation = rows[0][0]
    return database.installation


class TwoPhaseCommit:
    """One commit of several participants. `run` is all of it."""

    def __init__(self, job: Participant, others: Sequence[Participant], best_effort: Sequence[Participant]) -> None:
        """`others` prepare; those on a `best_effort` commit just before the decision, as nothing can undo them."""
        self.job, self.others, self.best_effort = job, others, best_effort
        self.gid = decisions.new_gid(installation_of(job))
        self._deadline = monotonic() + DECIDE_SECONDS
        self._asked = False
        """COMMIT of the decision has been sent: from here on only the job database knows."""

    def run(self, last_act: Callable[[Participant], None] | None, work: Work, reread: Reread) -> None:
        """Commit. `last_act` writes into the job database what stands or falls with everything else.

        Raises TransactionError: nothing was committed. PartialCommitError: nothing but what is on a best effort.
        CommitUnknownError: the job database can't say; the resolver will carry out what was decided.
        """
        committed: list[str] = []
        try:
            self._query(decisions.GUARD, {"gid": self.gid})
            for number, participant in enumerate(self.others, 1):
                participant.prepare(decisions.part(self.gid, number), within=self._left())
            for participant in self.best_effort:
                participant.commit(within=self._left())
                committed.append(participant.name)
            if last_act is not None:
                last_act(self.job)
            self._decide(work, reread)
        except CommitUnknownError as error:
            if error.database == self.job.name:
                self._leave(self.others)
                raise
            self._undo(committed, error)
        except TransactionError as error:
            self._undo(committed, error)
        except BaseException:
            if not self._asked:
                self._roll_back()
            raise
        self._carry_out()

    def _decide(self, work: Work, reread: Reread) -> None:
        names = [participant.name for participant in self.others]
        values = {"gid": self.gid, "participants": names, "execution": work.execution, "token": work.token}
        self._query(decisions.DECIDE, values)
        if failpoints.armed:
            failpoints.hit("before_decision")
        within = self._left()
        self._asked = True
        try:
            self.job.commit(within=within)
        except CommitUnknownError as unknown:
            self._read_decision(reread, unknown)
        if failpoints.armed:
            failpoints.hit("after_decision")

    def _read_decision(self, reread: Reread, unknown: CommitUnknownError) -> None:
        """Have it decided, if it isn't: as any resolver does, in another session."""
        deadline = monotonic() + DECIDE_SECONDS
        wait = 0.05
        while (decision := self._decision(reread)) is None:
            if monotonic() > deadline:
                raise unknown
            reread.pause(wait)
            wait = min(1.0, wait * 2)
        if decision != "COMMIT":
            raise TransactionError(f"{unknown.lost} It was not committed.") from unknown

    def _decision(self, reread: Reread) -> str | None:
        schema = self.job.database.options.schema
        names = [participant.name for participant in self.others]
        try:
            again = reread.connect(self.job.database)
        except DatabaseError:
            return None
        try:
            again.begin()
            again.query("SELECT set_config('lock_timeout', '1s', true)")
            values = {"gid": self.gid, "participants": names, "sure": True}
            again.query(decisions.rendered(decisions.ABORT, schema), values)
            rows = again.query(decisions.rendered(decisions.DECISIONS, schema), {"gids": [self.gid]})
            again.commit()
        except (TransactionError, psycopg.Error):
            return None
        finally:
            again.release()
        return str(rows[0][1])

    def _query(self, statement: str, values: Mapping[str, object]) -> None:
        try:
            self.job.begin()
            self.job.query(decisions.rendered(statement, self.job.database.options.schema), values)
        except psycopg.errors.UniqueViolation as error:
            raise TransactionError(
                "Rolled back, because the decision took too long and the resolver decided ABORT."
            ) from error
        except psycopg.Error as error:
            first = str(error).partition("\n")[0]
            raise TransactionError(f"The job database {self.job.name!r} can't decide: {first}") from error

    def _left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TransactionError(f"Rolled back: the databases did not prepare within {DECIDE_SECONDS:g} s.")
        return left

    def _undo(self, committed: Sequence[str], error: TransactionError) -> None:
        self._roll_back()
        if committed:
            everyone = [*self.others, *self.best_effort, self.job]
            failed = [each.name for each in everyone if each.name not in committed]
            raise PartialCommitError(committed, failed) from error
        raise error

    def _roll_back(self) -> None:
        self._leave([each for each in self.others if each.gid is not None and not each.roll_back_prepared()])

    def _carry_out(self) -> None:
        self._leave([each for each in self.others if not each.commit_prepared()])

    def _leave(self, left: Sequence[Participant]) -> None:
        """Tell of what is for the resolver."""
        for each in left:
            log("database.left_in_doubt", database=each.name, gid=each.gid)
