"""How a process is told to end, and the promise that it does, whatever its handlers are doing.

Python runs signal handlers between two steps of the main thread, even while a handler keeps the event loop from its
turn; the last word is a timer thread's.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Timer
from types import FrameType

SLACK_SECONDS = 1.9
"""How long after its time is up a process is ended by force."""
SECOND_SIGNAL_SECONDS = 0.9
"""The same after a second signal."""
LAST_WORDS_SECONDS = 0.3
"""What the last words may take before the process is ended all the same."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
HURRY = signal.SIGUSR1
"""A supervisor's second signal."""


class Stopping:
    """First signal: `asked` is set, and the process ends within `seconds` + 2. Second signal: within a second."""

    def __init__(
        self, seconds: float, hurry: Callable[[], None], last_words: Callable[[], None], *, supervised: bool = False
    ) -> None:
        """`hurry` is called in the event loop at the second signal: let go of what can be let go of.

        `last_words` is called in a thread of its own just before the process is ended by force. If `supervised`, only
        SIGUSR1 is the second signal: the first may come twice, from the supervisor and from what ended that, too.
        """
        self.seconds, self.hurry, self.last_words = seconds, hurry, last_words
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._requests = 0
        self._supervised = supervised
        self._before = {each: signal.getsignal(each) for each in (*SIGNALS, *((HURRY,) if supervised else ()))}
        self._timers: list[Timer] = []

    def __enter__(self) -> "Stopping":
        for each, before in self._before.items():
            if before is not signal.SIG_IGN:  # as a shell leaves SIGINT to what it starts in the background
                signal.signal(each, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            # What a supervisor says from here on is late, and no reason to die of it.
            signal.signal(each, signal.SIG_IGN if self._supervised else handler)
        for timer in self._timers:
            timer.cancel()

    def _received(self, number: int, frame: FrameType | None) -> None:
        asked_before = self._requests > 0
        if not asked_before:
            self._requests = 1
            self._end_after(self.seconds + SLACK_SECONDS)
            self._tell(self.asked.set)
        is_second = number == HURRY or (asked_before and not self._supervised)
        if is_second and self._requests == 1:
            self._requests = 2
            self._end_after(SECOND_SIGNAL_SECONDS)
            self._tell(self.hurry)

    def _tell(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(callback)

    def _end_after(self, seconds: float) -> None:
        for delay, action in ((seconds - LAST_WORDS_SECONDS, self._speak), (seconds, partial(os._exit, 1))):
            timer = Timer(delay, action)
            timer.daemon = True
            timer.start()
            self._timers.append(timer)

    def _speak(self) -> None:
        with suppress(Exception):  # whatever is wrong with them, the process ends
            self.last_words()
        os._exit(1)
