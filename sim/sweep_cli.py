"""The command `sweep`, for the door (`jsm/__main__.py`) to register.

It is a plain function with Typer's annotations. Bad input is one line on standard error and exit code 2. What is
heavy is imported when the command is called, so that `--help` answers at once.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import typer

from jsm.errors import InvariantViolation
from sim.check_mode import CheckMode
from sim.input_errors import InputError, ScenarioError, one_line

_REPLICATIONS: Final = 10
_DEFAULT_RANGE: Final = "1..256"
_SHOWN: Final = ("wait.mean", "wait.p99", "utilisation")


class _Wish(NamedTuple):
    """What was asked for."""

    scenario: str
    overrides: tuple[str, ...]
    over: tuple[str, ...]
    find: str | None
    such_that: str | None
    replications: int
    processes: int
    cluster: str | None
    out: Path | None
    check: CheckMode
    measures: tuple[str, ...]
    as_json: bool
    quiet: bool


def sweep(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a bundled one.")],
    *,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=RANGE", help="Vary a key: workers.count=1..8, 0.5..2:0.25 or 1,2,5; may be repeated."
        ),
    ] = None,
    find: Annotated[
        str | None,
        typer.Option(
            metavar="KEY[=RANGE]", help=f"Find the value of a key that --such-that holds for; {_DEFAULT_RANGE}."
        ),
    ] = None,
    such_that: Annotated[
        str | None, typer.Option("--such-that", metavar="GOAL", help="The goal of --find, such as 'wait.p99 <= 2s'.")
    ] = None,
    replications: Annotated[int, typer.Option(min=2, help="Of each cell; --find doubles them when in doubt.")] = (
        _REPLICATIONS
    ),
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key everywhere; may be repeated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of all chance; the same as --set run.seed=N.")] = None,
    processes: Annotated[int, typer.Option(min=0, help="On this machine; 0 is one a core.")] = 0,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT",
            help="On a Dask cluster, which must have the logs, too.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of results instead of out/NAME-sweep.")] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="A measure that the table shows, such as total.p99; may be repeated.")
    ] = None,
    check: Annotated[CheckMode, typer.Option(help="Check the invariants, as jsm simulate does.")] = CheckMode.SAMPLED,
    as_json: Annotated[bool, typer.Option("--json", help="Print sweep.json or find.json instead of a table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Run a scenario at every point of a grid, or find the value of a key that reaches a goal; with intervals.

    Finished cells are kept: the same command again goes on where it was interrupted. Exit 0: done, and every check
    holds. 1: a check failed, an invariant is broken, or no value reaches the goal. 2: bad input. 3: --find could not
    settle the value beside its answer. 130: interrupted.
    """
    overrides = tuple(settings or ()) + (() if seed is None else (f"run.seed={seed}",))
    varied, shown = tuple(over or ()), tuple(measure or _SHOWN)
    work = (replications, processes, cluster)
    wish = _Wish(scenario, overrides, varied, find, such_that, *work, out, check, shown, as_json, quiet)
    from jsm.engines import EngineError

    try:
        code = _search(wish) if find is not None else _sweep(wish)
    except (InputError, EngineError) as error:
        _refuse(one_line(str(error)))
    except InvariantViolation as error:
        typer.echo(f"jsm sweep: {one_line(str(error))}", err=True)
        code = 1
    if code:
        raise typer.Exit(code)


def _sweep(wish: _Wish) -> int:
    from jsm.engines import open_engine
    from sim.axes import axes_of
    from sim.interrupts import Interrupts
    from sim.sweep import Sweep, cells_of, run_sweep
    from sim.sweep_folder import SweepFolder
    from sim.sweep_table import print_sweep

    if wish.such_that is not None:
        raise ScenarioError(f"--such-that {wish.such_that}", "", None, "is the goal of --find", "say --find KEY, too")
    if not wish.over:
        raise ScenarioError("--over", "", None, "nothing is varied", "say what: --over workers.count=1..8")
    _check_measures(wish)
    asked = Sweep(wish.scenario, wish.overrides, tuple(axes_of(wish.over)), wish.replications, wish.check)
    cells = cells_of(asked)
    folder = SweepFolder(wish.out or Path("out") / f"{cells[0].scenario.name}-sweep", "sweep")
    stop = _Stop()
    with (
        open_engine(processes=wish.processes, cluster=wish.cluster) as engine,
        Interrupts(stop.ask),
        _progress(wish) as show,
    ):
        document = run_sweep(asked, cells, engine, folder, progress=show, stopped=stop.is_asked)
    if wish.as_json:
        typer.echo((folder.path / "sweep.json").read_text(encoding="utf-8"), nl=False)
    elif not wish.quiet:
        print_sweep(document, wish.measures, folder.path)
    if not document["complete"]:
        kept = f"{len(document['cells'])} of {len(cells)} cells are kept in {folder.path}"
        typer.echo(f"jsm sweep: interrupted; {kept}; the same command goes on from there", err=True)
    return _failing(document["cells"]) or (0 if document["complete"] else 130)


def _search(wish: _Wish) -> int:
    from jsm.engines import open_engine
    from sim.axes import axis_of
    from sim.goals import goal_of
    from sim.interrupts import Interrupts
    from sim.search import Search, Searcher, SearchStopped, table_of_search
    from sim.sweep import scenario_at
    from sim.sweep_folder import SweepFolder
    from sim.sweep_table import print_search

    if wish.over:
        raise ScenarioError("--over", "", None, "a grid and --find exclude each other", "leave one of them out")
    if wish.such_that is None or wish.find is None:
        raise ScenarioError("--find", "", None, "the goal is missing", "say it: --such-that 'wait.p99 <= 2s'")
    goal = goal_of(wish.such_that)
    axis = axis_of(wish.find if "=" in wish.find else f"{wish.find}={_DEFAULT_RANGE}", "--find")
    asked = Search(axis.key, axis.values, goal, wish.replications, wish.check)
    scenarios = [scenario_at(wish.scenario, wish.overrides, {axis.key: value}) for value in axis.values]
    folder = SweepFolder(wish.out or Path("out") / f"{scenarios[0].name}-find", "find")
    stop = _Stop()
    try:
        with (
            open_engine(processes=wish.processes, cluster=wish.cluster) as engine,
            Interrupts(stop.ask),
            _progress(wish) as show,
        ):
            searcher = Searcher(
                asked,
                engine,
                folder,
                lambda value: scenarios[axis.values.index(value)],
                progress=lambda judged: show(judged, len(axis.values).bit_length() + 1),
                stopped=stop.is_asked,
            )
            document = searcher.find()
    except SearchStopped:
        typer.echo("jsm sweep: interrupted; the values judged so far are kept; the same command goes on", err=True)
        return 130
    folder.finish(document, table_of_search(document))
    if wish.as_json:
        typer.echo((folder.path / "find.json").read_text(encoding="utf-8"), nl=False)
    elif not wish.quiet:
        print_search(document, folder.path)
    return _failing(document["tried"]) or (3 if not document["settled"] else 1 if document["answer"] is None else 0)


class _Stop:
    """Remembers that an interrupt came."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        self._asked = True

    def is_asked(self) -> bool:
        return self._asked


def _check_measures(wish: _Wish) -> None:
    from sim.replications import MEASURES

    for name in wish.measures:
        if name not in MEASURES:
            known = ", ".join(MEASURES)
            raise ScenarioError(f"--measure {name}", "", None, "there is no such measure", f"name one of {known}")


def _failing(cells: list[dict[str, Any]]) -> int:
    """Say which checks failed; the exit code."""
    failing = [text for cell in cells for text in cell["failing_checks"]]
    for text in failing:
        typer.echo(f"jsm sweep: a check failed: {one_line(text)}", err=True)
    return 1 if failing else 0


@contextmanager
def _progress(wish: _Wish) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, when that is a terminal; it is told what is done and what there is to do."""
    if wish.quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    what = "replications" if wish.find is None else "values"
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm sweep: {message}", err=True)
    raise typer.Exit(2)
