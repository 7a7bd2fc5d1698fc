"""`jsm replay`, for the door (`jsm/__main__.py`) to register."""

import json
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from models.verify_input import UnreadableError, name_of, read_snapshot, trace_lines
from models.verify_words import counted

if TYPE_CHECKING:
    from models.replay import Replay

_EXIT_CODES: Final = {"holds": 0, "violated": 1, "undetermined": 3}
_JOURNAL: Final = re.compile(r"journal\.([0-9]{10})\.jsonl")


def replay(
    *,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="The folder of a journal, one of its files (all up to it), or a trace; - is standard input.",
        ),
    ],
    trace: Annotated[
        Path | None,
        typer.Option(help="A journal: write what its calls gave as a trace, for jsm verify.", metavar="OUT"),
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="A trace: a snapshot file of the machine where it begins.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors; the exit code tells.")] = False,
) -> None:
    """Make the calls of a journal or trace again, on a machine, and say where that differs from what is written there.

    Exit codes: 0 nothing differs, 1 something does, 2 bad input, 3 there was no call to make.
    """
    path = Path(file)
    journal = _JOURNAL.fullmatch(path.name)
    if path.is_dir() or journal is not None:
        if snapshot is not None:
            _refuse("--snapshot is for traces, and this is a journal, which has its own; leave it out")
        result = _of_journal(
            path if journal is None else path.parent, None if journal is None else int(journal[1]), trace
        )
    else:
        if trace is not None:
            _refuse("--trace is for journals, and this is a trace already; leave it out")
        result = _of_trace(file, snapshot)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
    elif not quiet:
        typer.echo("\n".join(_text(result)))
    code = _EXIT_CODES[result.verdict]
    if code:
        raise typer.Exit(code)


def _of_journal(folder: Path, last: int | None, trace: Path | None) -> "Replay":
    """Make a journal's calls again; write the trace, if one is asked for."""
    from jsm.errors import JsmError
    from jsm.journal import write_trace_file
    from models.replay import JournalReplay

    try:
        made = JournalReplay(folder, last=last)
        if trace is None:
            for _ in made.records():
                pass
        else:
            write_trace_file(trace, made.records(), units_per_second=made.units_per_second)
            if made.begins_with_jobs:
                made.result.notes.append("the trace begins in the middle: jsm verify takes it with --from-middle")
    except JsmError as error:
        _refuse(str(error))
    return made.result


def _of_trace(file: str, snapshot: Path | None) -> "Replay":
    from models.replay import replay_trace
    from models.verify_lines import format_of

    try:
        start = None if snapshot is None else read_snapshot(snapshot)
        with trace_lines(file) as lines:
            first = next(lines, b"")
            if format_of(first) == "jsm-history":
                _refuse(f"{name_of(file)} is a history, which has no calls of a machine; jsm verify checks it")
            return replay_trace(name_of(file), chain([first] if first else [], lines), snapshot=start)
    except UnreadableError as error:
        _refuse(str(error))


def _text(result: "Replay") -> list[str]:
    """The result for people."""
    live = ", ".join(f"{count:,} {state}" for state, count in result.jobs.items())
    lines = [
        f"{result.name}: {result.verdict}",
        f"  {counted(result.calls, 'call')} made again, {result.begins}; the clock is {result.clock}",
        f"  jobs: {live}",
    ]
    if result.finding is not None:
        finding = result.finding
        lines += [
            "",
            f"{finding['place']}: the first difference",
            f"  call     {finding['call']}",
            f"  written  {finding['written']}",
            f"  machine  {finding['machine']}",
        ]
    return lines + [f"  note: {note}" for note in result.notes]


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm replay: {message}", err=True)
    raise typer.Exit(2)
