"""The commands of this room, for the door (`jsm/__main__.py`) to register; and where the state diagram is wired in.

Each is a plain function with Typer's annotations. Bad input is one line on standard error and exit code 2. What is
heavy is imported when a command is called, so that `--help` answers at once.
"""

import json
import shlex
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from jsm.errors import InvariantViolation
from sim.check_mode import CheckMode
from sim.input_errors import InputError, one_line

if TYPE_CHECKING:
    from sim.progress import RunProgress
    from sim.replicated import Replicated, Wanted
    from sim.run import Simulation
    from sim.scenario_models import Scenario

_DEFAULT_SCENARIO = "steady"  # of sim.scenario, which is heavy; a test compares them


class _Wish(NamedTuple):
    """What was asked for."""

    source: str
    overrides: tuple[str, ...]
    out: Path | None
    plots: bool
    trace: bool
    check: CheckMode
    wanted: "Wanted | None"  # of replications; None: a single run
    as_json: bool
    quiet: bool


class _Outcome(NamedTuple):
    """What came of it."""

    out: Path
    summary: dict[str, Any]
    run: dict[str, Any]
    interrupted: bool


def simulate(
    scenario: Annotated[
        str, typer.Argument(metavar="[SCENARIO]", help="A scenario file, or the name of a bundled one (--list).")
    ] = _DEFAULT_SCENARIO,
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as workers.count=8; may be repeated."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of all chance; the same as --set run.seed=N.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this folder instead of out/NAME-OF-THE-SCENARIO.")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the figures, which takes seconds.")] = True,
    trace: Annotated[bool, typer.Option("--trace", help="Write every call and transition to trace.jsonl.")] = False,
    check: Annotated[
        CheckMode,
        typer.Option(
            help="Check the invariants: sampled costs next to nothing; all looks at the whole machine after each call "
            "(in a big machine after each so-manyth) and is ten to fifty times slower."
        ),
    ] = CheckMode.SAMPLED,
    replications: Annotated[
        int | None, typer.Option(min=1, help="Run so many times with other chance, for intervals; the first is drawn.")
    ] = None,
    until_halfwidth: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="Replicate until intervals are that narrow, such as 2% of the estimate."),
    ] = None,
    processes: Annotated[int, typer.Option(min=0, help="For replications; 0 is one a core.")] = 0,
    list_only: Annotated[bool, typer.Option("--list", help="List the bundled scenarios and do nothing else.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of a table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Run a scenario and write its results: summary, metrics, figures, a report for a browser.

    Exit 0: done, and every check holds. 1: a check failed, a transition is illegal, or an invariant is broken. 2: bad
    input. 3: --until-halfwidth was not reached. 130: interrupted; the results up to then are written.
    """
    if list_only:
        _list_scenarios(as_json=as_json)
        return
    overrides = tuple(settings or ()) + (() if seed is None else (f"run.seed={seed}",))
    try:
        wanted = _wanted(replications, until_halfwidth, processes)
        wish = _Wish(scenario, overrides, out, plots, trace, check, wanted, as_json, quiet)
        outcome = _carry_out(wish)
    except InputError as error:
        _refuse(str(error))
    except InvariantViolation as error:
        typer.echo(f"jsm simulate: {one_line(str(error))}", err=True)
        typer.echo(f"jsm simulate: nothing was written; it happens again with: {_command(wish)}", err=True)
        raise typer.Exit(1) from None
    _show(outcome, wish)


def _carry_out(wish: _Wish) -> _Outcome:
    """Run and write. Raises `InputError` and `InvariantViolation`; either leaves no file behind."""
    from sim.progress import shown_progress
    from sim.results import check_out
    from sim.scenario import load_scenario
    from sim.trace_file import trace_file

    scenario = load_scenario(wish.source, wish.overrides)
    out = wish.out or Path("out") / scenario.name
    check_out(out)
    with ExitStack() as stack:
        trace = None
        if wish.trace:
            trace = stack.enter_context(trace_file(out, units_per_second=scenario.run.units_per_second))
        progress = stack.enter_context(shown_progress(quiet=wish.quiet))
        return _run(
            scenario,
            out,
            wish,
            progress,
            recorder=None if trace is None else trace.recorder,
            move_trace=None if trace is None else trace.move_into,
        )


def _run(
    scenario: "Scenario",
    out: Path,
    wish: _Wish,
    progress: "RunProgress",
    *,
    recorder: Any,
    move_trace: Callable[[Path], None] | None,
) -> _Outcome:
    from sim.interrupts import Interrupts
    from sim.results import write_result, write_table
    from sim.run import Simulation
    from sim.run_facts import run_facts

    simulation = Simulation(scenario, check=wish.check, recorder=recorder, progress=progress.at)
    with Interrupts(simulation.stop) as interrupts:
        progress.begin(planned_end=simulation.planned_end(), units_per_second=scenario.run.units_per_second)
        started = time.perf_counter()
        simulation.run()
        wall_seconds = time.perf_counter() - started
        result = simulation.result()
        made = None
        if wish.wanted is not None and not interrupts.came:
            made = _replicated(simulation, wish.wanted, wish.check, lambda: interrupts.came, progress)
        info = simulation.info(interrupted=interrupts.came)
        facts = run_facts(result, command=_command(wish), wall_seconds=wall_seconds)
        writers: list[Callable[[Path], None]] = [] if move_trace is None else [move_trace]
        if made is not None:
            info = made.info(info)
            writers.append(lambda folder: write_table(folder / "metrics" / "replications.parquet", made.table()))
        if wish.plots:
            writers.append(lambda folder: _draw(folder, progress))
        writers.append(_report)
        progress.say("writing results")
        summary = write_result(result, info, out, run=facts, scenario=scenario.resolved(), writers=writers)
        return _Outcome(out, summary, facts, interrupts.came)


def _wanted(replications: int | None, half_width: str | None, processes: int) -> "Wanted | None":
    if half_width is None and replications in (None, 1):
        return None
    from sim.replicated import wanted_of

    return wanted_of(replications, half_width, processes)


def _replicated(
    simulation: "Simulation",
    wanted: "Wanted",
    check: CheckMode,
    stopped: Callable[[], bool],
    progress: "RunProgress",
) -> "Replicated":
    from jsm.engines import open_engine
    from sim.replicated import replicated

    def show(number: int) -> None:
        progress.say(f"replication {number}")

    with open_engine(processes=wanted.processes) as engine:
        return replicated(
            engine,
            simulation.scenario,
            simulation.result(),
            wanted,
            check=check,
            stopped=stopped,
            progress=show,
        )


def _draw(folder: Path, progress: "RunProgress") -> None:
    from models.diagram import draw_state_diagram
    from sim.plots import draw_plots

    progress.say("drawing figures")
    draw_plots(folder, draw_state_diagram=draw_state_diagram)


def _report(folder: Path) -> None:
    from sim.report import write_report

    write_report(folder)


def _show(outcome: _Outcome, wish: _Wish) -> None:
    """Print what was asked for, and end with the exit code that fits."""
    from sim.table import print_summary

    failing = [check for check in outcome.summary["checks"] if not check["holds"]]
    if wish.as_json:
        typer.echo((outcome.out / "summary.json").read_text(encoding="utf-8"), nl=False)
    elif not wish.quiet:
        print_summary(outcome.summary, outcome.run, outcome.out)
        if "replications" in outcome.summary:
            from sim.sweep_table import print_replications

            print_replications(outcome.summary["replications"])
    for check in failing:
        what = f"{check['name']}: {check['left']} is not {check['right']}; {check['text']}"
        typer.echo(f"jsm simulate: a check failed: {one_line(what)}", err=True)
    if outcome.interrupted and not wish.quiet:
        typer.echo(f"jsm simulate: interrupted; the results so far are in {outcome.out}", err=True)
    made = outcome.summary.get("replications", {})
    for text in made.get("failing_checks", ()):
        typer.echo(f"jsm simulate: a check failed: {one_line(text)}", err=True)
    if failing or made.get("failing_checks"):
        raise typer.Exit(1)
    if outcome.interrupted:
        raise typer.Exit(130)
    if made.get("reached") is False:
        from sim.replicated import imprecise

        typer.echo(f"jsm simulate: {imprecise(made)}; give more with --replications", err=True)
        raise typer.Exit(3)


def _list_scenarios(*, as_json: bool) -> None:
    from sim.scenario import bundled_scenarios, load_scenario
    from sim.table import print_scenarios

    scenarios = {name: load_scenario(name).description for name in bundled_scenarios()}
    if as_json:
        document = {"default": _DEFAULT_SCENARIO, "scenarios": scenarios}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print_scenarios(scenarios, _DEFAULT_SCENARIO)


def _command(wish: _Wish) -> str:
    """The command line that does the same again."""
    words = ["jsm", "simulate", wish.source]
    for override in wish.overrides:
        words += ["--set", override]
    if wish.out is not None:
        words += ["--out", str(wish.out)]
    words += [] if wish.plots else ["--no-plots"]
    words += ["--trace"] if wish.trace else []
    words += [] if wish.check is CheckMode.SAMPLED else ["--check", str(wish.check)]
    if wish.wanted is not None:
        words += ["--replications", str(wish.wanted.replications)]
        words += [] if wish.wanted.half_width is None else ["--until-halfwidth", f"{wish.wanted.half_width!r}"]
    return shlex.join(words)


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm simulate: {message}", err=True)
    raise typer.Exit(2)
