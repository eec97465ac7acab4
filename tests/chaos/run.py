"""One performance: load and faults, the settling, the verdict."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import psycopg

from tests.chaos.checker import EVENTUAL, Verdict, judged
from tests.chaos.faults import deliver
from tests.chaos.schedule import Kind, Strike, schedule
from tests.chaos.stage import Stage
from tests.chaos.workload import MIXED, Offer, Workload
from tests.faults.harness import Sabotage

AT_ONCE = 3
"""Faults under way at a time."""
SETTLE_SECONDS = 180.0
JUDGE_SECONDS = 30.0
PROGRESS_SECONDS = 5.0
STATES = """
SELECT coalesce(jsonb_object_agg(status, n), '{}') FROM (SELECT status, count(*) AS n FROM job_executions GROUP BY 1) s
"""
BUSY = "SELECT count(*) FROM job_executions WHERE status IN ('PENDING', 'RUNNING')"
FINISHED = ("SUCCESS", "FAILED", "TIMEOUT", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    seconds: float = 600.0
    workers: int = 3
    every: float = 3.0
    """Seconds between two faults, on average."""
    kinds: Sequence[Kind] = tuple(Kind)
    offers: Sequence[Offer] = MIXED
    cron_jobs: bool = True
    """And an operator who cancels, retries and pauses."""
    sabotage: Sequence[Sabotage] = ()

    @property
    def strikes(self) -> tuple[Strike, ...]:
        return schedule(self.seed, self.seconds, self.every, self.kinds)


@dataclass(slots=True)
class Report:
    plan: Plan
    delivered: Counter[Kind] = field(default_factory=Counter)
    """Seen to take effect."""
    tried: Counter[Kind] = field(default_factory=Counter)
    zombies: int = 0
    """Outcomes that were refused, because the row was no longer the worker's."""
    leases_lost: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    exits: Counter[int] = field(default_factory=Counter)
    verdicts: tuple[Verdict, ...] = ()

    @property
    def finished(self) -> int:
        return sum(self.states.get(status, 0) for status in FINISHED)

    @property
    def violated(self) -> frozenset[str]:
        return frozenset(verdict.invariant for verdict in self.verdicts if not verdict.holds)

    @property
    def unproven(self) -> list[str]:
        """What did not happen, though it was to: the run proves nothing about it."""
        return [kind.value for kind in self.plan.kinds if not self.delivered[kind]] + (
            [] if self.zombies else ["a zombie's write refused"]
        )


class Performance:
    """Of a plan, in a folder of its own. Leaves everything in `report`."""

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None] = print) -> None:
        self.plan, self.folder, self._tell = plan, folder, tell
        self.report = Report(plan)
        self._over = Event()

    def run(self, keep: Callable[[Stage, Report], None] = lambda stage, report: None) -> Report:
        """`keep` is called with everything still in place."""
        with Stage(self.folder, workers=self.plan.workers, sabotage=self.plan.sabotage) as stage:
            load = Workload(stage.url, self.plan.seed, self.plan.offers, self.plan.cron_jobs)
            load.prepare(stage.business_url)
            stage.raise_curtain()
            load.begin()
            threads = [Thread(target=load.go_on, args=(self._over,)), Thread(target=self._show, args=(stage,))]
            for thread in threads:
                thread.start()
            try:
                self._strike(stage)
            finally:
                self._over.set()
                for thread in threads:
                    thread.join()
            stage.until(load.resume)
            assert stage.until(load.calm, seconds=SETTLE_SECONDS), "the planner has stopped"
            self._settle(stage)
            keep(stage, self.report)
        return self.report

    def _strike(self, stage: Stage) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            strikes = [pool.submit(self._deliver, stage, strike, began) for strike in self.plan.strikes]
            try:
                for strike in strikes:
                    strike.result()
            except BaseException:
                self._over.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _deliver(self, stage: Stage, strike: Strike, began: float) -> None:
        if self._over.wait(max(0.0, began + strike.at - time.monotonic())):
            return
        if time.monotonic() - began > self.plan.seconds and self.report.delivered[strike.kind]:
            return  # a busy machine is behind the schedule: what is left of it happened before
        self.report.tried[strike.kind] += 1
        if deliver(stage, strike):
            self.report.delivered[strike.kind] += 1

    def _settle(self, stage: Stage) -> None:
        """Until everything is done and told; what does not hold by then never will."""
        self._tell("no more faults: waiting for everything to be done")
        began = time.monotonic()
        stage.until(lambda: stage.ask(BUSY) == 0, seconds=SETTLE_SECONDS)
        stage.until(lambda: self._judge(stage), seconds=JUDGE_SECONDS)
        self._tell(f"settled after {time.monotonic() - began:.0f} s")
        self.report.zombies = len(stage.events("execution.stale"))
        self.report.leases_lost = len(stage.events("worker.lease_lost"))
        self.report.states = stage.ask(STATES)
        self.report.exits = stage.exits()

    def _judge(self, stage: Stage) -> bool:
        self.report.verdicts = judged(stage.url, stage.business_url)
        return not self.report.violated & EVENTUAL

    def _show(self, stage: Stage) -> None:
        began = time.monotonic()
        while not self._over.wait(PROGRESS_SECONDS):
            try:
                states: Mapping[str, int] = stage.ask(STATES)
            except psycopg.OperationalError:
                states = {}
            finished = sum(states.get(status, 0) for status in FINISHED)
            zombies = len(stage.events("execution.stale"))
            self._tell(
                f"{time.monotonic() - began:5.0f} s  "
                f"{self.report.delivered.total():3} of {len(self.plan.strikes)} faults  "
                f"{finished:5} executions finished, {states.get('PENDING', 0):3} waiting, "
                f"{states.get('RUNNING', 0):2} running  {zombies:3} zombies refused"
            )
