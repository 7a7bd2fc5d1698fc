"""`jsm verify`, for the door (`jsm/__main__.py`) to register."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer

from models.output import write_whole
from models.report_formats import JUNIT_EPOCH, ReportFormat
from models.verify_formats import render
from models.verify_input import STANDARD_INPUT, UnreadableError, name_of, read_snapshot, trace_lines

if TYPE_CHECKING:
    from models.verify_result import Report

_EXIT_CODES = {"holds": 0, "violated": 1, "undetermined": 3}


def verify(
    *,
    trace: Annotated[
        str, typer.Argument(metavar="TRACE", help="A JSON Lines trace, gzip or not; - is standard input.")
    ],
    go_on: Annotated[
        bool, typer.Option("--all", help="Go on after the first violation, where that makes sense.")
    ] = False,
    from_middle: Annotated[
        bool, typer.Option("--from-middle", help="Adopt jobs that were put before the trace began.")
    ] = False,
    snapshot: Annotated[
        Path | None, typer.Option(help="A snapshot file of the machine where the trace begins.", metavar="FILE")
    ] = None,
    max_job_size: Annotated[
        int | None, typer.Option(help="The greatest body in bytes; 65535 unless the header says otherwise.", min=0)
    ] = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="How the result is written.")] = ReportFormat.TEXT,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    lateness: Annotated[
        int | None, typer.Option(help="Histories: by how many units a timer may be late; one second.", min=0)
    ] = None,
    max_states: Annotated[int | None, typer.Option(help="Histories: how many states to search at most.", min=0)] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="DEVIATION", help="Histories: what the server is known to do otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors; the exit code tells.")] = False,
) -> None:
    """Check a trace of any implementation against the state diagram, and its calls against the machine.

    A rejection gives the longest accepted prefix, the rejected record, and for each possible action what refuses it.
    What clients saw from outside (a history with the instants of calls and returns) is checked for an order that the
    specification allows. The formats: models/verify.py and models/histories.py.

    Exit 0: it holds. 1: violated. 2: bad input. 3: undetermined: nothing to check, or a bound was hit.
    """
    if as_json and form not in (ReportFormat.TEXT, ReportFormat.JSON):
        _refuse(f"--json and --format {form} exclude each other; leave one out")
    if snapshot is not None and from_middle:
        _refuse("--snapshot and --from-middle exclude each other: with a snapshot all jobs are known; leave one out")
    form = ReportFormat.JSON if as_json else form
    settings = _Settings(go_on, from_middle, snapshot, max_job_size, lateness, max_states, tuple(allow or ()))
    try:
        with (
            _progress(trace, shown=not quiet and form is ReportFormat.TEXT) as progress,
            trace_lines(trace, progress) as lines,
        ):
            report = _verified(lines, settings)
    except UnreadableError as error:
        _refuse(str(error))
    text = render(form, report, name_of(trace), timestamp=_written_at(trace))
    if out is not None:
        _write(out, text)
    elif not quiet or form is not ReportFormat.TEXT:
        typer.echo(text, nl=False)
    if out is not None and not quiet:
        typer.echo(f"{name_of(trace)}: {report.verdict}; wrote {out}", err=True)
    code = _EXIT_CODES[report.verdict]
    if code:
        raise typer.Exit(code)


class _Settings(NamedTuple):
    """The options that say how to check."""

    go_on: bool
    from_middle: bool
    snapshot: Path | None
    max_job_size: int | None
    lateness: int | None
    max_states: int | None
    allow: tuple[str, ...]


def _verified(lines: Iterator[bytes], settings: _Settings) -> "Report":
    """Check what the first line says that the input holds."""
    from models.verify_lines import format_of

    first = next(lines, b"")
    whole = chain([first] if first else [], lines)
    return (_of_history if format_of(first) == "jsm-history" else _of_trace)(whole, settings)


def _of_trace(lines: Iterator[bytes], settings: _Settings) -> "Report":
    from models.verify import verify_trace

    for option, value in (("lateness", settings.lateness), ("max-states", settings.max_states)):
        if value is not None:
            _refuse(f"--{option} {value}: is for histories, and this is a trace; leave it out")
    if settings.allow:
        _refuse(f"--allow {settings.allow[0]}: is for histories, and this is a trace; leave it out")
    return verify_trace(
        lines,
        max_job_size=settings.max_job_size,
        snapshot=None if settings.snapshot is None else read_snapshot(settings.snapshot),
        from_middle=settings.from_middle,
        go_on=settings.go_on,
    ).report()


def _of_history(lines: Iterator[bytes], settings: _Settings) -> "Report":
    from jsm.errors import BadValueError
    from jsm.trace import TraceError
    from models.verify_histories import verify_history

    if settings.from_middle or settings.snapshot is not None or settings.max_job_size is not None:
        _refuse("--from-middle, --snapshot and --max-job-size are for traces, and this is a history; leave them out")
    try:
        return verify_history(
            lines, lateness=settings.lateness, max_states=settings.max_states, deviations=settings.allow
        )
    except TraceError:
        raise
    except BadValueError as error:
        option = {"deviations": "allow", "max_states": "max-states"}.get(error.field, error.field)
        _refuse(f"--{option} {error.value}: expected {error.expected}")


def _written_at(trace: str) -> str:
    """When the trace was last written, for JUnit XML: of the input, so that the same input gives the same output."""
    if trace == STANDARD_INPUT:
        return JUNIT_EPOCH
    try:
        return datetime.fromtimestamp(Path(trace).stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except OSError:
        return JUNIT_EPOCH


@contextmanager
def _progress(trace: str, *, shown: bool) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error while a file is read, when that is a terminal."""
    if not shown or trace == STANDARD_INPUT or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    try:
        size = Path(trace).stat().st_size
    except OSError:
        size = 0
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("verify", total=size or None)
        yield lambda done: bar.update(task, completed=done)


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode("utf-8", "replace"))
    except OSError as error:
        _refuse(f"--out {path}: {error.strerror}; name a file in a folder that can be written to")


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm verify: {message}", err=True)
    raise typer.Exit(2)
