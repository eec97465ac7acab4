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


class Stopping:
    """First signal: `asked` is set, and the process ends within `seconds` + 2. Second signal: within a second."""

    def __init__(self, seconds: float, hurry: Callable[[], None], last_words: Callable[[], None]) -> None:
        """`hurry` is called in the event loop at the second signal: let go of what can be let go of.

        `last_words` is called in a thread of its own just before the process is ended by force.
        """
        self.seconds, self.hurry, self.last_words = seconds, hurry, last_words
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._signals = 0
        self._before = {each: signal.getsignal(each) for each in SIGNALS}
        self._timers: list[Timer] = []

    def __enter__(self) -> "Stopping":
        for each in SIGNALS:
            if self._before[each] is not signal.SIG_IGN:  # as nohup leaves it, or a supervisor
                signal.signal(each, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        for timer in self._timers:
            timer.cancel()

    def _received(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals == 1:
            self._end_after(self.seconds + SLACK_SECONDS)
            self._tell(self.asked.set)
        elif self._signals == 2:
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
