"""Sabotaged copies of the product, one rule broken in each, and the test that has to notice.

`./dev mutants [NAME …]` runs them and prints the table of docs/reliability.md.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
QUERIES = "scheduler/store/queries.sql"
_FAILED = 1
"""What pytest exits with when tests ran and some failed: nothing else is a mutant that was caught."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`was` becomes `becomes`, once: the first time after the text `after`."""

    file: str
    was: str
    becomes: str
    after: str = ""

    def apply(self, root: Path) -> None:
        """Raises ValueError when the text isn't there."""
        path = root / self.file
        before, anchor, rest = path.read_text().partition(self.after) if self.after else ("", "", path.read_text())
        if (self.after and not anchor) or self.was not in rest:
            raise ValueError(f"{self.file} has no {self.was!r} after {self.after!r}: bring the mutant up to date.")
        path.write_text(before + anchor + rest.replace(self.was, self.becomes, 1))


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    breaks: str
    """What no longer holds, in words."""
    caught_by: str
    """The id of the test that must fail."""
    edits: tuple[Edit, ...] = field(repr=False)


MUTANTS = (
    Mutant(
        "settle-without-token",
        "an outcome is written without the claim's token",
        "tests/faults/test_zombie.py::test_an_outcome_that_arrives_while_another_runs_the_job_is_refused",
        (
            Edit(
                QUERIES,
                "AND e.claim_token = (SELECT %(tokens)s::uuid[])[o.claim] ",
                "",
                after="-- name: settle_success",
            ),
        ),
    ),
    Mutant(
        "heartbeat-of-the-lost",
        "a worker that was marked LOST renews its lease",
        "tests/store/test_workers.py::test_what_is_over_stays_over",
        (Edit(QUERIES, " AND status IN ('ACTIVE', 'DRAINING')", "", after="-- name: heartbeat"),),
    ),
    Mutant(
        "rescue-of-the-living",
        "the rescuer returns rows whose worker has a valid lease",
        "tests/services/test_rescuer.py::test_workers_with_a_lease_keep_what_they_have",
        (Edit(QUERIES, "AND NOT coalesce((", "AND coalesce((", after="-- name: rescue"),),
    ),
    Mutant(
        "rescue-without-a-second-look",
        "the rescuer returns what is being settled while it looks",
        "tests/services/test_rescuer.py::test_what_is_being_settled_is_left_alone",
        (Edit(QUERIES, "    FOR UPDATE SKIP LOCKED\n", "", after="-- name: rescue"),),
    ),
    Mutant(
        "now-of-the-transaction",
        "times are those of the transaction's start: now() for clock_timestamp()",
        "tests/schema/test_functions.py::test_the_clock_goes_on_within_a_transaction",
        (Edit("migrations/sql/0001_tables.sql", "RETURN clock_timestamp();", "RETURN now();"),),
    ),
    Mutant(
        "no-unique-tick",
        "the index that makes a tick unique is gone, and the statements that lean on it don't mind",
        "tests/lifecycle/test_plan_cursor.py::test_a_cursor_by_hand_makes_no_tick_twice_and_none_from_before_the_row",
        (
            Edit(
                "migrations/sql/0001_tables.sql",
                "CREATE UNIQUE INDEX job_executions_tick",
                "CREATE INDEX job_executions_tick",
            ),
            Edit(
                QUERIES,
                "ON CONFLICT (cron_job_id, scheduled_at, (CASE source WHEN 'manual' THEN id ELSE 0 END)) "
                "WHERE cron_job_id IS NOT NULL AND status <> 'SKIPPED' DO NOTHING\n",
                "",
                after="-- name: insert_ticks",
            ),
        ),
    ),
    Mutant(
        "attempt-counted-at-its-end",
        "the claim doesn't count the attempt",
        "tests/lifecycle/test_claim.py::test_a_claim_makes_the_row_the_workers_and_counts_the_attempt",
        (
            Edit(QUERIES, "attempt = least(e.attempt, 2147483646) + 1, ", "", after="-- name: claim\n"),
            Edit(
                QUERIES,
                "SET status = 'SUCCESS', ",
                "SET status = 'SUCCESS', attempt = e.attempt + 1, ",
                after="-- name: settle_success",
            ),
        ),
    ),
    Mutant(
        "heartbeat-in-the-event-loop",
        "the heartbeat waits for the event loop",
        "tests/faults/test_supervisor.py::test_a_blocked_loop_is_charged_to_the_one_that_blocks_it",
        (
            Edit(
                "scheduler/services/heartbeat.py",
                "sent = monotonic()\n",
                "asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(); sent = monotonic()\n",
                after="def _renew(",
            ),
        ),
    ),
    Mutant(
        "timeout-awaits-the-handler",
        "a timeout is told when the handler has ended, not when its time is up",
        "tests/lifecycle/test_run.py::test_a_timeout_is_told_on_time_though_the_handler_goes_on",
        (Edit("scheduler/lifecycle/run.py", "        self._tell(self._timeout(None))\n", "", after="def _overdue("),),
    ),
    Mutant(
        "timeout-by-wait-for",
        "timeouts are left to asyncio.wait_for, which waits for a task that will not be cancelled",
        "tests/lifecycle/test_run.py::test_a_timeout_is_told_on_time_though_the_handler_goes_on",
        (
            Edit("scheduler/lifecycle/run.py", "call_later(left, self._timed_out)", "call_later(left + 3600, print)"),
            Edit(
                "scheduler/isolation/task.py",
                "return await call(spec, self.context)",
                "return await asyncio.wait_for(call(spec, self.context), 0.05)",
            ),
        ),
    ),
    Mutant(
        "answer-to-commit-unread",
        "COMMIT that the server answered with ROLLBACK counts as committed",
        "tests/database/test_transactions.py::test_the_answer_to_commit_is_read",
        (Edit("scheduler/database/participant.py", 'if tag != "COMMIT":', "if False:"),),
    ),
    Mutant(
        "answer-to-prepare-unread",
        "PREPARE that the server answered with ROLLBACK counts as prepared",
        "tests/two_phase/test_commit.py::test_the_answers_to_prepare_are_read",
        (Edit("scheduler/database/participant.py", 'if tag != "PREPARE TRANSACTION":', "if False:"),),
    ),
    Mutant(
        "resolver-of-everybodys",
        "the resolver takes what is prepared in other databases of the server, or by others, for its own",
        "tests/two_phase/test_recovery.py::test_the_prepared_of_others_are_left_alone",
        (
            Edit(
                "scheduler/database/decisions.py",
                "WHERE p.database = current_database() AND starts_with(p.gid, %(prefix)s)",
                "WHERE %(prefix)s <> ''",
            ),
        ),
    ),
    Mutant(
        "resolver-that-guesses",
        "the resolver rolls back what is not decided, without deciding it",
        "tests/two_phase/test_recovery.py::test_a_coordinator_that_is_late_finds_it_decided",
        (
            Edit(
                "scheduler/database/recovery.py",
                "await ledger.abort(gid, names[gid], sure=ages[gid] > SURE_SECONDS)",
                "decided[gid] = 'ABORT'",
            ),
        ),
    ),
    Mutant(
        "prune-of-the-unsettled",
        "old decisions are deleted though a participant has not carried them out",
        "tests/two_phase/test_recovery.py::test_only_old_and_settled_decisions_are_deleted",
        (Edit("scheduler/database/decisions.py", " AND t.settled_at IS NOT NULL", "", after="PRUNE: Final"),),
    ),
    Mutant(
        "listen-without-poll",
        "an idle worker looks only when it was notified",
        "tests/services/test_worker.py::test_a_retry_is_taken_up_when_it_is_due_though_the_worker_sleeps",
        (
            Edit(
                "scheduler/services/worker.py",
                "        rang = False\n",
                "        rang, until = False, monotonic() + 1e9\n",
                after="async def _sleep(",
            ),
            Edit(
                "scheduler/services/worker.py",
                "until = min(until, asked_at + FIRST_POLL_SECONDS)",
                "pass",
                after="async def _sleep(",
            ),
        ),
    ),
    Mutant(
        "catch-up-unbounded",
        "`all` makes up for every missed tick, whatever catch_up_limit says",
        "tests/rules/test_catch_up.py::test_a_limit_of_none_revives_none",
        (Edit("scheduler/rules/catch_up.py", "return max(0, limit)", "return 10**9"),),
    ),
    Mutant(
        "hand-back-of-what-starts-once",
        "what has begun and may start only once is handed back when its worker stops",
        "tests/faults/test_shutdown.py::test_what_may_start_once_is_not_handed_back_when_it_has_begun",
        (Edit("scheduler/rules/outcome.py", "outcome.begun and claim.starts_once", "False"),),
    ),
    Mutant(
        "ping-without-a-deadline",
        "the server may take for ever to answer the ping of LISTEN",
        "tests/faults/test_listen.py::test_polling_finds_the_work_meanwhile_and_the_listener_connects_anew",
        (
            Edit(
                "scheduler/store/notifications.py",
                "call_later(ANSWER_SECONDS, _shut_down",
                "call_later(3600, _shut_down",
            ),
        ),
    ),
    Mutant(
        "limit-without-its-lock",
        "claims of a queue with max_running count without the queue's lock",
        "tests/lifecycle/test_claim_limited.py::test_no_more_run_than_the_queue_allows_whoever_claims",
        (
            Edit(
                "migrations/sql/0001_worker_protocol.sql",
                "EXIT WHEN pg_try_advisory_xact_lock(hashtextextended(job_claim.queue,",
                "EXIT WHEN true OR pg_try_advisory_xact_lock(hashtextextended(job_claim.queue,",
            ),
        ),
    ),
    Mutant(
        "batch-stopped-for-one",
        "a batch is stopped as soon as one of its executions is to stop",
        "tests/lifecycle/test_batch.py::test_one_that_is_cancelled_goes_on_with_the_others_and_success_still_wins",
        (Edit("scheduler/lifecycle/batch.py", "if not self._going_on:", "if True:"),),
    ),
    Mutant(
        "message-nobody-knows",
        "what a message is known by is not what it will be asked for by",
        "tests/services/test_consumer.py::test_what_is_lost_between_two_steps_is_done_again_and_not_twice",
        (
            Edit(
                "scheduler/store/messages.sql", "SELECT %(source)s, c.id, m.id", "SELECT %(source)s, c.id || m.id, m.id"
            ),
        ),
    ),
    Mutant(
        "message-blamed-for-the-tables",
        "a message is given up because a table is missing, or a right",
        "tests/services/test_consumer.py::test_without_the_right_to_write_nothing_is_given_up",
        (Edit("scheduler/store/messages.py", "    errors.RaiseException,", "    psycopg.ProgrammingError,"),),
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: Mutant
    caught: bool
    output: str


def run(mutants: tuple[Mutant, ...] = MUTANTS) -> Iterator[Verdict]:
    """Each mutant's test in a copy of the checkout with its edits, the server shared with nobody."""
    with TemporaryDirectory(prefix="mutants-") as folder:
        for mutant in mutants:
            copy = Path(folder) / mutant.name
            _copy_checkout(copy)
            for edit in mutant.edits:
                edit.apply(copy)
            finished = _pytest(copy, mutant.caught_by)
            yield Verdict(mutant, finished.returncode == _FAILED, finished.stdout)
            shutil.rmtree(copy)


def passes_unharmed(mutant: Mutant) -> bool:
    """Whether the test passes where nothing is broken, so that its failure says something."""
    return _pytest(ROOT, mutant.caught_by).returncode == 0


def _copy_checkout(copy: Path) -> None:
    ignored = shutil.ignore_patterns(".git", ".venv", ".scheduler", "__pycache__", ".*_cache", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=ignored)


def _pytest(root: Path, test: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout", "60", test]
    env = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main(names: list[str]) -> int:
    """Run the mutants with these names, or all; 1 if one of them lived."""
    if unknown := sorted(set(names) - {mutant.name for mutant in MUTANTS}):
        print(f"No such mutant: {', '.join(unknown)}. There are: {', '.join(mutant.name for mutant in MUTANTS)}.")
        return 2
    chosen = tuple(mutant for mutant in MUTANTS if not names or mutant.name in names)
    lived = 0
    for number, verdict in enumerate(run(chosen), start=1):
        sound = passes_unharmed(verdict.mutant)
        caught = verdict.caught and sound
        lived += not caught
        print(f"{number:>2}/{len(chosen)} {'caught' if caught else 'LIVED '} {verdict.mutant.name}", flush=True)
        print(f"      {verdict.mutant.caught_by}", flush=True)
        if not sound:
            print("      fails without the mutant, too")
        elif not caught:
            print(verdict.output)
    print(f"{len(chosen) - lived} of {len(chosen)} mutants were caught.")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
