"""`jsm conform`, for the door (`jsm/__main__.py`) to register."""

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final, NamedTuple, NoReturn

import typer

from models.conformance import Judgement, MakePlayer, Report, installed_corpus, installed_deviations, read_corpus
from models.conformance import conform as conform_corpus
from models.conformance_corpus import CorpusError, Entry
from models.conformance_formats import render
from models.conformance_player import PlayerError
from models.conformance_running import running
from models.conformance_sockets import Address
from models.conformance_spawn import check_command, spawned
from models.output import write_whole
from models.report_formats import ReportFormat

_EXIT_CODES: Final = {"holds": 0, "violated": 1, "undetermined": 3}
_FAST_SECONDS_MAX: Final = 1

Over = Callable[[Callable[[Entry], Judgement], Iterable[Entry]], Iterable[Judgement]]


def conform(
    *,
    server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A server that runs, that nobody uses, and without jobs.")
    ] = None,
    spawn: Annotated[
        str | None,
        typer.Option(metavar="CMD", help="Start a server for each conversation: 'beanstalkd -p {port}'."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Play this entry only; repeatable.")] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Leave out the conversations that wait for longer than a second.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Where protocol.txt asks for another reply than beanstalkd's, insist on it."),
    ] = False,
    corpus: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Play these files instead of the installed corpus.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="With --spawn: how many servers at a time.", min=1, max=64)] = 4,
    form: Annotated[ReportFormat, typer.Option("--format", help="How the result is written.")] = ReportFormat.TEXT,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors; the exit code tells.")] = False,
) -> None:
    """Play recorded conversations and malformed inputs to a beanstalkd, and compare every reply.

    --spawn starts a server for each, as they were recorded; {port} is where the port goes, and {clock_port}, if it is
    there, where that of a manual clock goes, so that nothing is waited for:
    'jsm serve -p {port} --clock manual --clock-port {clock_port}'. Unix sockets: --server unix:PATH.

    Exit 0: it conforms, up to the deviations that are declared. 1: a reply differs. 2: bad input, or no server.
    3: undetermined: nothing was played.
    """
    if as_json and form not in (ReportFormat.TEXT, ReportFormat.JSON):
        _refuse(f"--json and --format {form} exclude each other; leave one out")
    form = ReportFormat.JSON if as_json else form
    try:
        settings = _Settings(server, spawn, tuple(only or ()), fast, tuple(corpus or ()), jobs)
        shown = not quiet and form is ReportFormat.TEXT
        judgements, interrupted = _until_interrupted(_judgements(settings, shown=shown))
    except (CorpusError, PlayerError) as error:
        _refuse(" ".join(str(error).split()))
    report = Report(tuple(judgements)).strictly() if strict else Report(tuple(judgements))
    text = render(form, report, server or spawn or "")
    if out is not None:
        try:
            write_whole(out, text.encode("utf-8", "replace"))
        except OSError as error:
            _refuse(f"--out {out}: {error.strerror}; name a file in a folder that can be written to")
    elif not quiet or form is not ReportFormat.TEXT:
        typer.echo(text, nl=False)
    if out is not None and not quiet:
        typer.echo(f"{server or spawn}: {report.verdict}; wrote {out}", err=True)
    if interrupted:
        typer.echo(f"jsm conform: interrupted after {len(judgements)} entries", err=True)
    code = 130 if interrupted else _EXIT_CODES[report.verdict]
    if code:
        raise typer.Exit(code)


class _Settings(NamedTuple):
    """The options that say what is played, and with which server."""

    server: str | None
    spawn: str | None
    only: tuple[str, ...]
    fast: bool
    corpus: tuple[Path, ...]
    jobs: int


def _until_interrupted(judgements: Iterator[Judgement]) -> tuple[list[Judgement], bool]:
    """All of them, or those before an interrupt; and whether there was one."""
    found = []
    try:
        for each in judgements:
            found.append(each)  # noqa: PERF402 - what was found before an interrupt is kept
    except KeyboardInterrupt:
        return found, True
    return found, False


def _judgements(settings: _Settings, *, shown: bool) -> Iterator[Judgement]:
    make_player: MakePlayer
    if (settings.server is None) == (settings.spawn is None):
        _refuse("give either --server HOST:PORT, a server that runs, or --spawn 'CMD with {port}', one to start")
    if settings.spawn is not None:
        words = check_command(settings.spawn)
        make_player = partial(spawned, words)
        has_clock = any("{clock_port}" in word for word in words)
    else:
        make_player = partial(running, _address(settings.server or ""))
        has_clock = False
    corpus = read_corpus(settings.corpus) if settings.corpus else installed_corpus()
    corpus = corpus.only(settings.only) if settings.only else corpus

    def is_left_out(entry: Entry) -> str:
        waits = getattr(entry, "wait_seconds", 0)
        is_long = settings.fast and not has_clock and waits > _FAST_SECONDS_MAX
        return f"it waits for more than {_FAST_SECONDS_MAX} s, and --fast leaves such out" if is_long else ""

    with _workers(settings.jobs if settings.spawn else 1) as over, _progress(len(corpus.entries), shown=shown) as tell:
        for judgement in conform_corpus(
            corpus, make_player, table=installed_deviations(), is_left_out=is_left_out, over=over
        ):
            tell()
            yield judgement


@contextmanager
def _workers(jobs: int) -> Iterator[Over]:
    """A `map` over so many threads; when it is left early, what has not begun is dropped."""
    if jobs == 1:
        yield map
        return
    executor = ThreadPoolExecutor(jobs)
    try:
        yield executor.map
    finally:
        executor.shutdown(cancel_futures=True)


def _address(text: str) -> Address:
    kind, _, path = text.partition(":")
    if kind == "unix" and path:
        return Address("", 0, path)
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        _refuse(f"--server {text}: expected HOST:PORT with a port from 1 to 65535, or unix:PATH")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error while conversations are played, when that is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("conform", total=total)
        yield lambda: bar.advance(task)


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm conform: {message}", err=True)
    raise typer.Exit(2)
