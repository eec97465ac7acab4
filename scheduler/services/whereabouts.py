"""whereabouts: where the main thread, and with it the event loop, is; asked from another thread."""

import sys
from threading import main_thread
from types import FrameType


def main_frame() -> FrameType | None:
    """The innermost Python code that it is in."""
    return sys._current_frames().get(main_thread().ident or 0)


def place_of(frame: FrameType | None) -> str:
    """`file:line in function`."""
    return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
