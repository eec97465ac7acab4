"""A commit over the job database and two others: prepare, decide, carry out; and a resolver that may look at any time.

The decision is a row of the job database, written by the transaction that also carries SUCCESS. The coordinator may die
at any step, or hang and go on; its answers may be lost. Of the job database's own transaction nothing is prepared.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal, NamedTuple

from tests.model.search import Found, Step, explore


class Decision(StrEnum):
    FIRST_WINS = "whoever inserts the row first decides; everybody obeys it"
    LOOKED_UP = "the resolver rolls back what has no row"
    NONE = "the resolver rolls back what is old"
    BEFORE_PREPARED = "the row is written before everything is prepared"
    PRUNED_EARLY = "the row is deleted while somebody may still need it"


Part = Literal["none", "prepared", "committed", "rolled back"]
At = Literal["prepare 0", "prepare 1", "decide", "carry out", "roll back", "over"]


class State(NamedTuple):
    parts: tuple[Part, Part] = ("none", "none")
    at: At = "prepare 0"
    decision: Literal["COMMIT", "ABORT", None] = None
    success: bool = False
    """What the job database committed: the handler's writes there, and SUCCESS."""
    judged: Literal["COMMIT", "ABORT", None] = None
    """What the resolver is about to carry out."""
    pruned: bool = False


Steps = Iterator[Step[State]]


def check(protocol: Decision) -> Found:
    def ended(state: State) -> bool:
        return state.at == "over" and "prepared" not in state.parts

    return explore(State(), lambda state: map(_judged, _steps(protocol, state)), ended)


def _steps(protocol: Decision, state: State) -> Steps:
    yield from _coordinator(protocol, state)
    yield from _resolver(protocol, state)


def _coordinator(protocol: Decision, state: State) -> Steps:
    at = state.at
    if at != "over":
        yield Step("the coordinator dies", state._replace(at="over"), fault=True)
    if at in ("prepare 0", "prepare 1"):
        yield from _prepare(protocol, state, int(at[-1]))
    elif at == "decide":
        yield from _decide(protocol, state)
    elif at in ("carry out", "roll back"):
        to: Part = "committed" if at == "carry out" else "rolled back"
        for i, part in enumerate(state.parts):
            if part == "prepared":
                yield Step(f"part {i} is {to}", _with(state, i, to))
        if "prepared" not in state.parts:
            yield Step("the coordinator is done", state._replace(at="over"))


def _prepare(protocol: Decision, state: State, i: int) -> Steps:
    if protocol is Decision.BEFORE_PREPARED and i == 1 and state.decision is None:
        yield Step("COMMIT is decided", state._replace(decision="COMMIT", success=True))
        return
    prepared = _with(state, i, "prepared")
    early = protocol is Decision.BEFORE_PREPARED
    then: At = "prepare 1" if i == 0 else "carry out" if early else "decide"
    yield Step(f"part {i} is prepared", prepared._replace(at=then))
    refused = _with(state, i, "rolled back")
    yield Step(f"part {i} can't be prepared", refused._replace(at="roll back"), fault=True)


def _decide(protocol: Decision, state: State) -> Steps:
    if protocol in (Decision.FIRST_WINS, Decision.PRUNED_EARLY) and state.decision == "ABORT":
        yield Step("the decision is there: ABORT", state._replace(at="roll back"))
        return
    decided = state._replace(decision="COMMIT", success=True)
    yield Step("COMMIT is decided, with SUCCESS", decided._replace(at="carry out"))
    yield Step("COMMIT is decided, the answer lost", decided._replace(at="over"), fault=True)


def _resolver(protocol: Decision, state: State) -> Steps:
    if state.judged is not None:
        to: Part = "committed" if state.judged == "COMMIT" else "rolled back"
        for i, part in enumerate(state.parts):
            if part == "prepared":
                yield Step(f"the resolver: part {i} is {to}", _with(state, i, to))
        yield Step("the resolver has done its round", state._replace(judged=None))
    elif "prepared" in state.parts:
        yield _judge(protocol, state)
    if protocol is Decision.PRUNED_EARLY and state.decision is not None and not state.pruned:
        yield Step("the decision is pruned", state._replace(decision=None, pruned=True))


def _judge(protocol: Decision, state: State) -> Step[State]:
    if protocol is Decision.NONE:
        return Step("the resolver takes it for dead", state._replace(judged="ABORT"))
    if protocol is Decision.LOOKED_UP:
        found = state.decision or "ABORT"
        return Step(f"the resolver reads {state.decision or 'nothing'}", state._replace(judged=found))
    decision = state.decision or "ABORT"
    return Step(f"the resolver inserts ABORT, and finds {decision}", state._replace(decision=decision, judged=decision))


def _judged(step: Step[State]) -> Step[State]:
    """Whatever was decided, it is the same everywhere."""
    parts, success = step.state.parts, step.state.success
    wrong = None
    if "committed" in parts and "rolled back" in parts:
        wrong = "one database has it and another has not"
    elif success and "rolled back" in parts:
        wrong = "SUCCESS without its effect"
    elif not success and "committed" in parts:
        wrong = "an effect without its SUCCESS"
    return step._replace(wrong=wrong)


def _with(state: State, i: int, part: Part) -> State:
    parts = (part, state.parts[1]) if i == 0 else (state.parts[0], part)
    return state._replace(parts=parts)
