"""How each kind of fault is done to the stage. Each deed tells whether it was seen to take effect."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Lock
from typing import Final
from uuid import UUID

import psycopg

from scheduler.testing.fault_proxy import Fault
from tests.chaos.schedule import Kind, Strike
from tests.chaos.stage import Slot, Stage, descendants, is_alive
from tests.chaos.workload import enqueue
from tests.faults.harness import LEASE_SECONDS, words_of

PATIENCE_SECONDS: Final = 40.0
"""How long a deed is waited for, before it is tried on another."""
DELIVERY_SECONDS: Final = 150.0
"""How long it is tried: what is to be hit may be down just then, by another fault."""
PAUSE_SECONDS: Final = 0.5
HOUR: Final = 3600.0
SLOW_JOB_SECONDS: Final = 5.0
FAILPOINTS: Final = (
    "after_claim_commit=exit@2", "before_settle=exit@2", "before_plan_commit=exit@2", "before_heartbeat=exit@3",
    "before_rescue=exit@2", "before_prepare:business=exit", "before_decision=exit", "after_decision=exit",
    "before_commit_prepared:business=exit",
)  # fmt: skip
ANSWERS: Final = ("claim", "settle_success", "settle_other", "claim_keyed")
NO_LEASE: Final = "SELECT bool_and(lease_until < job_now()) FROM job_workers WHERE id = ANY(%s)"
TERMINATE: Final = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name ^@ 'scheduler'
"""
BORN: Final = "SELECT pg_postmaster_start_time()"
CLOCK: Final = """
CREATE OR REPLACE FUNCTION job_now() RETURNS timestamptz LANGUAGE sql PARALLEL SAFE
RETURN clock_timestamp() + interval '{:.1f} s'
"""
RIGHT_CLOCK: Final = """
CREATE OR REPLACE FUNCTION job_now() RETURNS timestamptz LANGUAGE sql PARALLEL SAFE RETURN clock_timestamp()
"""
SHIFT: Final = "SELECT abs(extract(epoch FROM job_now() - clock_timestamp()))"
HELD: Final = f"""
SELECT coalesce(array_agg(id), '{{}}') FROM job_executions
WHERE status = 'RUNNING' AND claimed_by = ANY(%s) AND (handler_params ->> 'seconds')::float = {SLOW_JOB_SECONDS}
"""
ALL_RUN_ANEW: Final = """
SELECT bool_and(status <> 'PENDING' AND claimed_by <> ALL(%s)) AND bool_or(status = 'RUNNING')
FROM job_executions WHERE id = ANY(%s)
"""
ACCEPTED: Final = """
SELECT bool_or((result ->> 'attempt')::int <> attempt) FROM job_executions WHERE id = ANY(%s) AND status = 'SUCCESS'
"""
"""That of a worker which is sound is refused, and the worker says so."""

server = Lock()
"""Held by what is done to the server itself."""


def plain(slot: Slot) -> bool:
    return not slot.supervised


def supervised(slot: Slot) -> bool:
    return slot.supervised


def anybody(_: Slot) -> bool:
    return True


# Processes


def kill_worker(stage: Stage, slot: Slot, strike: Strike) -> bool:
    process, workers = slot.process, slot.workers()
    if not workers:
        return False
    victim = workers[int(strike.extent * len(workers))]
    os.kill(victim, signal.SIGKILL)
    if not slot.supervised:
        return process.exit_status() == -signal.SIGKILL
    how = "was ended by SIGKILL"
    return stage.until(lambda: (victim, how) in [(e["pid"], e["how"]) for e in process.events("supervisor.replacing")])


def kill_supervisor(stage: Stage, slot: Slot, strike: Strike) -> bool:
    process = slot.process
    process.send(signal.SIGKILL)
    return process.exit_status() == -signal.SIGKILL


def kill_handler(stage: Stage, slot: Slot, strike: Strike) -> bool:
    """Or the process that they are forked from."""
    stage.incarnations(slot.workers())
    below = [child for worker in slot.workers() for child in descendants(worker)]
    if not below:
        return False
    victim = below[int(strike.extent * len(below))]
    os.kill(victim, signal.SIGKILL)
    return stage.until(lambda: not is_alive(victim))


def freeze(stage: Stage, slot: Slot, strike: Strike) -> bool:
    workers = slot.workers()
    ids = stage.incarnations(workers)
    with stopped(workers):
        lapsed = stage.until(lambda: stage.ask(NO_LEASE, ids), seconds=PATIENCE_SECONDS)
        time.sleep(strike.extent * LEASE_SECONDS)
    return lapsed


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def late_outcome(stage: Stage, slot: Slot, strike: Strike) -> bool:
    """Something of the worker's is on its way when it freezes, and arrives when others run what it held."""
    zombies, process = stage.incarnations(slot.workers()), slot.process
    if not stage.until(lambda: given(stage, zombies), seconds=PATIENCE_SECONDS):
        return False
    before = len(process.events("execution.stale"))
    fault = slot.proxy.freeze_before(words_of("settle_success"))
    try:
        if not fault.struck.wait(PATIENCE_SECONDS):
            return False
        with stopped([process.pid]):
            held = stage.ask(HELD, zombies)
            if not held or not stage.until(lambda: stage.ask(ALL_RUN_ANEW, zombies, held), seconds=PATIENCE_SECONDS):
                return False
            slot.proxy.thaw()
    finally:
        slot.proxy.withdraw(fault)
        slot.proxy.thaw()
    return stage.until(
        lambda: len(process.events("execution.stale")) > before or stage.ask(ACCEPTED, held), seconds=PATIENCE_SECONDS
    )


def given(stage: Stage, workers: list[UUID]) -> bool:
    """Whether one of them runs something slow; if not, there is more of it now."""
    if stage.ask(HELD, workers):
        return True
    with stage.connected() as connection:
        enqueue(connection, "in_task", {"seconds": SLOW_JOB_SECONDS}, count=2)
    return stage.until(lambda: stage.ask(HELD, workers), seconds=1)


def wrong_clock(stage: Stage, slot: Slot, strike: Strike) -> bool:
    slot.clock = HOUR if strike.extent < 0.5 else -HOUR
    process = stage.restart(slot)
    (event, *_) = process.said("worker.started")
    return abs(datetime.fromisoformat(event["time"]).timestamp() - time.time()) > HOUR / 2


def failpoint(stage: Stage, slot: Slot, strike: Strike) -> bool:
    slot.failpoint = FAILPOINTS[int(strike.extent * len(FAILPOINTS))]
    return stage.restart(slot).exit_status() == 137


# The network


def black_hole(stage: Stage, slot: Slot, strike: Strike) -> bool:
    ids = stage.incarnations(slot.workers())
    slot.proxy.freeze()
    try:
        lapsed = stage.until(lambda: stage.ask(NO_LEASE, ids), seconds=PATIENCE_SECONDS)
        time.sleep(strike.extent * LEASE_SECONDS)
    finally:
        slot.proxy.thaw()
    return lapsed


def cut(stage: Stage, slot: Slot, strike: Strike) -> bool:
    return slot.proxy.cut() > 0


def slow(stage: Stage, slot: Slot, strike: Strike) -> bool:
    delay = 0.02 + 0.2 * strike.extent
    slot.proxy.slow(delay)
    try:
        with stage.connected(slot.proxy.url) as connection:
            began = time.monotonic()
            connection.execute("SELECT 1")
            took = time.monotonic() - began
        time.sleep(LEASE_SECONDS)
    finally:
        slot.proxy.slow(0)
    return took >= 2 * delay


def lost_commit(stage: Stage, slot: Slot, strike: Strike) -> bool:
    return struck(slot, slot.proxy.drop_reply(*commit(strike)))


def cut_commit(stage: Stage, slot: Slot, strike: Strike) -> bool:
    return struck(slot, slot.proxy.cut_before(*commit(strike)))


def lost_answer(stage: Stage, slot: Slot, strike: Strike) -> bool:
    return struck(slot, slot.proxy.drop_reply(words_of(ANSWERS[int(strike.extent * len(ANSWERS))])))


def commit(strike: Strike) -> tuple[str, ...]:
    """What is said on a connection up to a COMMIT: of planned ticks, of a claim of keys, of a handler's own."""
    choice = ((words_of("advance"), "COMMIT"), (words_of("claim_keyed"), "COMMIT"), ("INSERT INTO paired", "COMMIT"))
    return choice[int(strike.extent * len(choice))]


def struck(slot: Slot, fault: Fault) -> bool:
    try:
        return fault.struck.wait(PATIENCE_SECONDS)
    finally:
        slot.proxy.withdraw(fault)


# The server


def terminate(stage: Stage, strike: Strike) -> bool:
    return int(stage.ask(TERMINATE)) > 0


def crash_server(stage: Stage, strike: Strike) -> bool:
    with server:
        before = stage.ask(BORN)
        stage.crash_server()
        return stage.until(lambda: stage.ask(BORN) != before)


def database_clock(stage: Stage, strike: Strike) -> bool:
    """Forward or back by more than a lease, for more than a lease, and right again."""
    seconds = LEASE_SECONDS + 20 * strike.extent
    with server:
        try:
            with stage.connected() as connection:
                connection.execute(CLOCK.format(seconds if strike.pick < 0.5 else -seconds).encode())
            time.sleep(LEASE_SECONDS * (1 + strike.extent))
            return float(stage.ask(SHIFT)) > LEASE_SECONDS / 2
        finally:
            stage.until(lambda: set_right(stage))


def set_right(stage: Stage) -> bool:
    with stage.connected() as connection:
        connection.execute(RIGHT_CLOCK)
    return True


TO_SOMEBODY: Final[Mapping[Kind, tuple[Callable[[Slot], bool], Callable[[Stage, Slot, Strike], bool]]]] = {
    Kind.KILL_WORKER: (anybody, kill_worker),
    Kind.KILL_SUPERVISOR: (supervised, kill_supervisor),
    Kind.KILL_HANDLER: (anybody, kill_handler),
    Kind.FREEZE: (anybody, freeze),
    Kind.LATE_OUTCOME: (plain, late_outcome),
    Kind.BLACK_HOLE: (anybody, black_hole),
    Kind.CUT: (anybody, cut),
    Kind.SLOW: (anybody, slow),
    Kind.LOST_COMMIT: (anybody, lost_commit),
    Kind.CUT_COMMIT: (anybody, cut_commit),
    Kind.LOST_ANSWER: (anybody, lost_answer),
    Kind.WORKER_CLOCK: (plain, wrong_clock),
    Kind.FAILPOINT: (plain, failpoint),
}
TO_THE_SERVER: Final[Mapping[Kind, Callable[[Stage, Strike], bool]]] = {
    Kind.TERMINATE: terminate,
    Kind.CRASH_SERVER: crash_server,
    Kind.DATABASE_CLOCK: database_clock,
}


def deliver(stage: Stage, strike: Strike) -> bool:
    """Do it, and again, perhaps to another one, until it is seen to take effect. Whether it was."""
    deadline = time.monotonic() + DELIVERY_SECONDS
    while not (done := _try(stage, strike)) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return done


def _try(stage: Stage, strike: Strike) -> bool:
    with suppress(psycopg.OperationalError, ProcessLookupError, AssertionError):  # somebody else's fault was faster
        if strike.kind in TO_THE_SERVER:
            return TO_THE_SERVER[strike.kind](stage, strike)
        fits, deed = TO_SOMEBODY[strike.kind]
        with stage.borrowed(strike.pick, fits) as slot:
            return deed(stage, slot, strike)
    return False
