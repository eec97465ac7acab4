"""One row, two workers, and everybody who writes the row: claim, answer, begin, settle, heartbeat, rescue, operator.

Any process may be killed, or hang and go on much later, at any step; each answer of the database may be lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from tests.model.search import Found, Step, explore

INCARNATIONS = 2
MORTAL = 0
"""The worker that dies, hangs and comes back; the other one is left to finish the work."""


class Guard(StrEnum):
    """What a write to a claimed row asks for; the words of `WHERE` beside the id."""

    TOKEN = "the claim's token, and RUNNING"
    OWNER = "the worker's name, and RUNNING"
    STATUS = "RUNNING"
    NONE = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The real one, and what it would be without one of its rules."""

    max_retry: int = 2
    guard: Guard = Guard.TOKEN
    rescue_checks_again: bool = True
    """The rescuer looks at the worker in the statement that takes its row."""
    rescue_counts: bool = True
    """A lost attempt counts as a failed one."""
    rescue_by_state: bool = True
    """Any RUNNING row without a living worker is rescued, not only those found when the worker was marked lost."""
    finds_unanswered_claims: bool = True
    hands_back_strangers: bool = True
    spares_claims_under_way: bool = True
    """A row whose claim is under way is no stranger."""
    starts_once: bool = True
    """What has begun and may start once is not handed back."""
    cancel_outlives_rescue: bool = True
    claims: int = 2
    retries_by_hand: int = 1
    """Where the search ends: what is wrong shows within this much."""


class Row(NamedTuple):
    status: Literal["PENDING", "RUNNING", "SUCCESS", "FAILED", "CANCELLED"] = "PENDING"
    token: int = 0
    """0: none."""
    owner: tuple[int, int] = (-1, 0)
    """Worker and incarnation."""
    failures: int = 0
    cancel: bool = False

    @property
    def final(self) -> bool:
        return self.status not in ("PENDING", "RUNNING")


Phase = Literal["asked", "unanswered", "held", "returning", "running", "succeeded", "failed", "handed back"]


class Attempt(NamedTuple):
    token: int
    phase: Phase


class Worker(NamedTuple):
    alive: bool = True
    incarnation: int = 0
    lease: Literal["valid", "out", "lost"] = "valid"
    attempts: tuple[Attempt, ...] = ()


class State(NamedTuple):
    row: Row = Row()
    workers: tuple[Worker, ...] = (Worker(), Worker())
    claims: int = 0
    starts: int = 0
    """Attempts begun of those claimed since the execution was enqueued, or retried by hand."""
    free: int = 0
    """Those of them that went back without a try."""
    retries: int = 0
    since: int = 0
    """The last claim before it was retried by hand."""
    doomed: tuple[int, int] | None = None
    """Whom the rescuer believes to be gone; for rescuers that don't look again."""


Steps = Iterator[Step[State]]


def check(protocol: Protocol) -> Found:
    def ended(state: State) -> bool:
        return state.row.final or (state.claims == protocol.claims and state.row.status == "PENDING")

    return explore(State(), lambda state: _steps(protocol, state), ended)


def _steps(protocol: Protocol, state: State) -> Steps:
    for w in range(len(state.workers)):
        if w == MORTAL:
            yield from _lease(state, w)
        if state.workers[w].alive:
            yield from _claim(protocol, state, w)
            yield from _strangers(protocol, state, w)
            for attempt in state.workers[w].attempts:
                yield from _attempt(protocol, state, w, attempt)
    yield from _rescue(protocol, state)
    yield from _operator(protocol, state)


# A worker's life


def _lease(state: State, w: int) -> Steps:
    worker = state.workers[w]
    if worker.alive:
        yield Step(f"worker {w} is killed", _with(state, w, worker._replace(alive=False, attempts=())), fault=True)
    if worker.lease == "valid":
        yield Step(f"the lease of {w} runs out", _with(state, w, worker._replace(lease="out")), fault=worker.alive)
    if worker.lease == "out":
        yield Step(f"worker {w} is marked lost", _with(state, w, worker._replace(lease="lost")))
        if worker.alive:
            yield Step(f"worker {w} renews its lease", _with(state, w, worker._replace(lease="valid")))
    if worker.lease == "lost" and worker.incarnation < INCARNATIONS - 1:
        # What it ran is abandoned, and may go on; nobody is told how it ended.
        yield Step(f"worker {w} comes back anew", _with(state, w, Worker(incarnation=worker.incarnation + 1)))


def _strangers(protocol: Protocol, state: State, w: int) -> Steps:
    """What a heartbeat finds: a row that the database believes to be here."""
    row, worker = state.row, state.workers[w]
    known = {
        a.token for a in worker.attempts if protocol.spares_claims_under_way or a.phase not in ("asked", "unanswered")
    }
    ours = row.status == "RUNNING" and row.owner == (w, worker.incarnation)
    if protocol.hands_back_strangers and ours and row.token not in known:
        yield Step(f"worker {w} hands back a stranger", state._replace(row=_returned(row)))


# An attempt's life


def _claim(protocol: Protocol, state: State, w: int) -> Steps:
    row, worker = state.row, state.workers[w]
    if (
        row.status != "PENDING"
        or worker.lease != "valid"
        or len(worker.attempts) == 2
        or state.claims == protocol.claims
    ):
        return
    token = state.claims + 1
    claimed = row._replace(status="RUNNING", token=token, owner=(w, worker.incarnation))
    asked = _with(state._replace(row=claimed, claims=token), w, _plus(worker, Attempt(token, "asked")))
    overlap = None
    for v, other in enumerate(state.workers):
        if other.alive and other.lease == "valid" and any(a.phase == "running" for a in other.attempts):
            overlap = "it runs twice though its first worker has a lease" if v != w else "it runs twice in one worker"
    yield Step(f"worker {w} claims it (claim {token})", asked, wrong=overlap)


def _attempt(protocol: Protocol, state: State, w: int, attempt: Attempt) -> Steps:
    token, phase = attempt
    move = _Move(state, w, attempt)
    match phase:
        case "asked":
            yield Step(f"the answer to claim {token} comes", move.to("held"))
            lost = move.to("unanswered") if protocol.finds_unanswered_claims else move.gone()
            yield Step(f"the answer to claim {token} is lost", lost, fault=True)
        case "unanswered":
            found = state.row.status == "RUNNING" and state.row.token == token
            yield Step(f"worker {w} asks what it claimed", move.to("held") if found else move.gone())
        case "held":
            starts = state.starts + (token > state.since)
            begun = move.to("running")._replace(starts=starts)
            yield Step(f"claim {token} begins", begun, wrong=_too_often(protocol, begun))
            yield Step(f"claim {token} shall go back, not begun", move.to("returning"), fault=True)
        case "returning":
            yield from _write(protocol, move, "the return", _returned(state.row))
        case "running":
            yield Step(f"claim {token} succeeds", move.to("succeeded"))
            yield Step(f"claim {token} fails", move.to("failed"))
            yield Step(f"claim {token} is interrupted", move.to("handed back"), fault=True)
        case "succeeded":
            yield from _write(protocol, move, "SUCCESS", state.row._replace(status="SUCCESS"))
        case "failed":
            yield from _write(protocol, move, "its failure", _failed(protocol, state.row))
        case "handed back":
            if protocol.max_retry <= 1 and protocol.starts_once:
                yield from _write(protocol, move, "its interruption", _failed(protocol, state.row))
            else:
                freed = _Move(state._replace(free=state.free + (token > state.since)), w, attempt)
                yield from _write(protocol, freed, "a hand-back", _returned(state.row))


def _write(protocol: Protocol, move: "_Move", what: str, written: Row) -> Steps:
    """A fenced write; its answer may be lost, and then it is sent again."""
    state, token = move.state, move.attempt.token
    if not _passes(protocol.guard, state.row, move):
        yield Step(f"{what} of claim {token} is refused", move.gone())
        return
    if written.status != "SUCCESS" and state.row.cancel:
        written = state.row._replace(status="CANCELLED")
    wrong = None
    if state.row.token != token:
        wrong = "an old attempt writes over a newer one"
    if state.row.status != "RUNNING":
        wrong = "an outcome is written to a row that is not RUNNING"
    yield Step(f"{what} of claim {token} is written", move.gone()._replace(row=written), wrong=wrong)
    lost = state._replace(row=written)
    yield Step(f"{what} of claim {token} is written, the answer lost", lost, fault=True, wrong=wrong)


def _passes(guard: Guard, row: Row, move: "_Move") -> bool:
    match guard:
        case Guard.NONE:
            return True
        case Guard.STATUS:
            return row.status == "RUNNING"
        case Guard.OWNER:
            return row.status == "RUNNING" and row.owner[0] == move.w
        case Guard.TOKEN:
            return row.status == "RUNNING" and row.token == move.attempt.token


def _too_often(protocol: Protocol, state: State) -> str | None:
    if protocol.max_retry <= 1 and state.starts > 1:
        return "it starts twice though max_retry allows one start"
    if state.starts - state.free > max(protocol.max_retry, 1):
        return "it starts more often than max_retry allows"
    return None


# Everybody else who writes the row


def _rescue(protocol: Protocol, state: State) -> Steps:
    row = state.row
    if row.status != "RUNNING":
        if state.doomed is not None and not protocol.rescue_checks_again:
            yield Step("the rescuer forgets", state._replace(doomed=None))
        return
    w, incarnation = row.owner
    gone = incarnation < state.workers[w].incarnation or state.workers[w].lease == "lost"
    counts = row if protocol.cancel_outlives_rescue else row._replace(cancel=False)
    back = _failed(protocol, counts) if protocol.rescue_counts else _returned(counts)
    if row.cancel and protocol.cancel_outlives_rescue:
        back = row._replace(status="CANCELLED")
    lost_cancel = "a cancel is forgotten" if row.cancel and back.status != "CANCELLED" else None
    if not protocol.rescue_checks_again:
        if gone:
            yield Step(f"the rescuer notes that {w} is gone", state._replace(doomed=row.owner))
        if state.doomed is not None:
            wrong = None if gone else "a living worker's row is rescued"
            yield Step("the rescuer takes the row", state._replace(row=back, doomed=None), wrong=wrong)
    elif gone and (protocol.rescue_by_state or state.workers[w].incarnation == incarnation):
        yield Step(f"the rescuer takes the row of {w}", state._replace(row=back), wrong=lost_cancel)


def _operator(protocol: Protocol, state: State) -> Steps:
    row = state.row
    if row.status == "PENDING":
        yield Step("an operator cancels it", state._replace(row=row._replace(status="CANCELLED")), fault=True)
    if row.status == "RUNNING" and not row.cancel:
        yield Step("an operator asks it to stop", state._replace(row=row._replace(cancel=True)), fault=True)
    if row.final and state.retries < protocol.retries_by_hand:
        again = state._replace(row=Row(), retries=state.retries + 1, starts=0, free=0, since=state.claims)
        yield Step("an operator retries it", again, fault=True)


def _returned(row: Row) -> Row:
    if row.cancel:
        return row._replace(status="CANCELLED")
    return row._replace(status="PENDING", token=0, owner=(-1, 0))


def _failed(protocol: Protocol, row: Row) -> Row:
    failures = row.failures + 1
    if failures >= protocol.max_retry:
        return row._replace(status="FAILED", failures=failures)
    return _returned(row._replace(failures=failures))


class _Move(NamedTuple):
    """What becomes of one attempt in its worker's memory."""

    state: State
    w: int
    attempt: Attempt

    def to(self, phase: Phase) -> State:
        moved = tuple(Attempt(a.token, phase) if a == self.attempt else a for a in self._attempts)
        return _with(self.state, self.w, self.state.workers[self.w]._replace(attempts=moved))

    def gone(self) -> State:
        left = tuple(a for a in self._attempts if a != self.attempt)
        return _with(self.state, self.w, self.state.workers[self.w]._replace(attempts=left))

    @property
    def _attempts(self) -> tuple[Attempt, ...]:
        return self.state.workers[self.w].attempts


def _plus(worker: Worker, attempt: Attempt) -> Worker:
    return worker._replace(attempts=(*worker.attempts, attempt))


def _with(state: State, w: int, worker: Worker) -> State:
    return state._replace(workers=(*state.workers[:w], worker, *state.workers[w + 1 :]))
