"""The progress bar of a run, on standard error, when that is a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from sim.report import format_duration

_SECONDS_BETWEEN: Final = 0.1


class RunProgress:
    """Shows how far a run is; its methods cost next to nothing when there is nothing to show."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._units = 1
        self._next = 0.0
        self._task = None if progress is None else progress.add_task("preparing", total=None)

    def begin(self, *, planned_end: int | None, units_per_second: int) -> None:
        """The run begins; `planned_end` is in units."""
        self._units = units_per_second
        self._show("simulating", total=planned_end)

    def at(self, now: int) -> None:
        """The run has come to this instant, in units."""
        if self._progress is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + _SECONDS_BETWEEN
            self._show(f"simulated {format_duration(now / self._units)}", completed=now)

    def say(self, text: str) -> None:
        """What is done now, after the run."""
        self._show(text)

    def _show(self, text: str, *, total: float | None = None, completed: float | None = None) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text, total=total, completed=completed)
            self._progress.refresh()


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[RunProgress]:
    """A bar that is gone when the block ends; none when `quiet`, or when standard error is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield RunProgress(None)
        return
    columns = (TextColumn("{task.description:<22}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    # Drawn by the run itself, ten times a second: a thread would take turns with the simulation.
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        yield RunProgress(progress)
