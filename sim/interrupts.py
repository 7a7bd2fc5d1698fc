"""Ctrl-C and a polite kill: the first asks a run to end and keep what it has, the second ends the program."""

import signal
import threading
from collections.abc import Callable
from multiprocessing import current_process
from types import FrameType, TracebackType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While it is entered, the first SIGINT or SIGTERM calls `stop`; another one raises `KeyboardInterrupt`.

    Only the main thread may enter it.
    """

    __slots__ = ("_before", "_stop", "came")

    def __init__(self, stop: Callable[[], object]) -> None:
        self.came = False
        self._stop = stop
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True
        self._stop()


def leave_interrupts_to_the_parent() -> None:
    """In a process that only works for another: ignore Ctrl-C, which a terminal sends to both. No effect elsewhere."""
    if current_process().name != "MainProcess" and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
