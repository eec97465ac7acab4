"""A handler whose writes and whose SUCCESS are one commit: `@handler(…, transactional=[…])`.

The transaction is around the handler. Its last act, in the job database, is the fenced SUCCESS of the attempt: when the
fence refuses it, nothing that the handler wrote is committed either. Every other outcome is rolled back first, and
recorded as that of any handler is.
"""

from typing import Any, Final

from scheduler.clock import monotonic
from scheduler.database import transactional
from scheduler.database.commit import LastAct
from scheduler.database.participant import Participant
from scheduler.database.two_phase import Work
from scheduler.errors import LeaseLostError
from scheduler.handlers import ExecutionContext, HandlerSpec, encode_result
from scheduler.handlers.results import REFUSED, EncodedResult, SettledResult
from scheduler.model import Claim
from scheduler.store.executions import Success, success_values
from scheduler.store.session import RowRefused
from scheduler.store.statements import statements

_SAVEPOINT: Final = "scheduler_settle"


def call(spec: HandlerSpec, context: ExecutionContext) -> Any:
    """Run one attempt here, in its transaction if it has one: its value, or an awaitable of it.

    The value of a transactional handler is a SettledResult. Raises what the handler raises, what the
    commit raises, and LeaseLostError; then nothing of the transaction is committed.
    """
    if not spec.transactional:
        return spec.call(context)
    settling = _Settling(context.claim)
    block = transactional(*spec.transactional)
    block.last_act = LastAct(settling.write, Work(context.claim.id, context.claim.token))
    return (_awaited if spec.is_async else _called)(block, settling, spec, context)


async def _awaited(
    block: transactional, settling: "_Settling", spec: HandlerSpec, context: ExecutionContext
) -> SettledResult:
    async with block:
        settling.result = encode_result(await spec.call(context))
    return SettledResult(*settling.result)


def _called(block: transactional, settling: "_Settling", spec: HandlerSpec, context: ExecutionContext) -> SettledResult:
    with block:
        settling.result = encode_result(spec.call(context))
    return SettledResult(*settling.result)


class _Settling:
    """The SUCCESS of one attempt, to be written in a transaction of its handler's."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.result = EncodedResult(None, False)
        self._began = monotonic()

    def write(self, job: Participant) -> None:
        """Raises LeaseLostError when the fence refuses it."""
        job.begin()
        if self.result.text is None:
            self._write(job)
            return
        job.query(f"SAVEPOINT {_SAVEPOINT}")
        try:
            self._write(job)
        except RowRefused:  # for what is in the result: the outcome is stored without it
            job.query(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self.result = EncodedResult(REFUSED, True)
            self._write(job)

    def _write(self, job: Participant) -> None:
        claim = self.claim
        statement = statements(job.database.options.schema)["settle_success"].decode()
        success = Success(claim.id, claim.token, monotonic() - self._began, self.result.text)
        if not job.query(statement, success_values([success])):
            raise LeaseLostError(
                f"Execution {claim.id}: attempt {claim.attempt} lost its lease before it ended; all that it wrote was "
                "rolled back."
            )
