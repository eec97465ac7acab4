"""endings: how processes of a supervisor ended, and those of others that are left to it."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress

from scheduler.services.member import Member


def reap_strangers(ours: Iterable[int]) -> None:
    """The first process of a container inherits what others have left behind; `ours` are looked after elsewhere."""
    known = set(ours)
    with suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if found.si_pid in known:
                return  # one of ours, which is looked after next; strangers after that
            os.waitpid(found.si_pid, 0)


def code_at_the_end(member: Member, code: int) -> int:
    """A worker that had nothing yet is ended by the signal itself, and has abandoned nothing."""
    untold = member.report is None and code in (-signal.SIGTERM, -signal.SIGKILL)
    return 0 if code == 0 or untold else 1


def how(code: int) -> str:
    return f"exited with status {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
