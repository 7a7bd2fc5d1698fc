"""`jsm check`: visits every state of a small world and says in one line what has been proved."""

import json
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from models.check_result import Bounds
    from models.scope import Scope
    from models.walks import WalksResult

EXIT_CODES: Final = {"holds": 0, "undetermined": 3, "violated": 1}
"""By verdict, from the best to the worst."""

_SCOPE_HELP: Final = (
    "A world, may be repeated: tiny, small, late, tubes, pauses, waits, best, line, timers, promises, medium, large, "
    "spin. Default: small, tubes, pauses, waits, best, line, timers; for walks: large."
)


def check(
    *,
    scope: Annotated[list[str] | None, typer.Option(help=_SCOPE_HELP)] = None,
    jobs: Annotated[int | None, typer.Option(help="At most so many live jobs.")] = None,
    clients: Annotated[int | None, typer.Option(help="So many clients.")] = None,
    tubes: Annotated[int | None, typer.Option(help="So many tubes.")] = None,
    priorities: Annotated[str | None, typer.Option(help="The priorities, such as 0,1.")] = None,
    delays: Annotated[str | None, typer.Option(help="The delays in seconds, such as 0,1.")] = None,
    ttrs: Annotated[str | None, typer.Option(help="The ttrs in seconds, such as 1,2.")] = None,
    timeouts: Annotated[str | None, typer.Option(help="The timeouts of a reserve, such as none,0,1.")] = None,
    pauses: Annotated[str | None, typer.Option(help="The pauses in seconds, such as 0,1.")] = None,
    operations: Annotated[str | None, typer.Option(help="Only these operations, such as put,delete,tick.")] = None,
    late: Annotated[bool | None, typer.Option("--late/--on-time", help="Whether ticks may come late.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Give up after histories of so many calls (exit 3).")] = None,
    states: Annotated[int | None, typer.Option(help="Give up when more states than this are known (exit 3).")] = None,
    seconds: Annotated[float | None, typer.Option(help="Give up after this time (exit 3).")] = None,
    lockstep: Annotated[bool, typer.Option(help="Compare every call with the specification.")] = True,
    invariants: Annotated[bool, typer.Option(help="Check the invariants at every call.")] = True,
    symmetry: Annotated[bool | None, typer.Option(help="Take clients as exchangeable.")] = None,
    liveness: Annotated[bool | None, typer.Option(help="Look for lassos; by default in `promises` alone.")] = None,
    allow_unfired: Annotated[list[str] | None, typer.Option(help="It need not be accepted; may be repeated.")] = None,
    processes: Annotated[int, typer.Option(help="Processes side by side; 0: one a core.")] = 0,
    walks: Annotated[
        int | None, typer.Option(help="Walk at random so often, instead of visiting all (exit 1 or 3).")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of a walk.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the walks.")] = 0,
    walk: Annotated[int | None, typer.Option(help="Only the walk of this number, to see it again.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Walk on this Dask cluster: tcp://HOST:PORT.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the renderings of a counterexample into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Visit every state of a small world over the real machine: does every history keep the protocol?

    Exit 0: it holds, for histories of any length. 1: violated; the shortest counterexample is shown. 2: bad input.
    3: undetermined: a bound was hit, or random walks found nothing, which proves nothing.
    """
    from models.check_result import Bounds

    given: dict[str, Any] = {"jobs": jobs, "clients": clients, "tubes": tubes, "late": late, "symmetry": symmetry}
    given |= _lists(priorities=priorities, delays=delays, ttrs=ttrs, timeouts=timeouts, pauses=pauses)
    given["operations"] = None if operations is None else tuple(operations.split(","))
    is_walk = walks is not None or walk is not None
    request = CheckRequest(
        worlds=_worlds(scope or [], given, is_walk=is_walk),
        promises=_worlds_of_promises(scope or [], given, liveness, is_walk=is_walk),
        lockstep=lockstep,
        invariants=invariants,
        bounds=Bounds(states=states, depth=horizon, seconds=seconds),
        allow_unfired=tuple(allow_unfired or ()),
        processes=processes,
        walks=walks,
        steps=steps,
        seed=seed,
        walk=walk,
        cluster=cluster,
        out=out,
        as_json=as_json,
        quiet=quiet,
    )
    _examine(request)
    raise typer.Exit(_run(request))


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What the command line asks for."""

    worlds: "dict[str, Scope]"
    lockstep: bool
    invariants: bool
    bounds: "Bounds"
    allow_unfired: tuple[str, ...]
    promises: "dict[str, Scope]"  # the worlds in which lassos are looked for
    processes: int
    walks: int | None  # None: no walks, every state
    steps: int
    seed: int
    walk: int | None  # this one only
    cluster: str | None
    out: Path | None
    as_json: bool
    quiet: bool

    @property
    def is_walk(self) -> bool:
        """Whether to walk at random, instead of visiting every state."""
        return self.walks is not None or self.walk is not None


def _examine(request: CheckRequest) -> None:
    """Refuse what can't be done before anything is."""
    bounds, out = request.bounds, request.out
    for name, value in (("horizon", bounds.depth), ("states", bounds.states), ("seconds", bounds.seconds)):
        if value is not None and value <= 0:
            _refuse(f"--{name} {value}: give a number above 0")
    for name, value in (("walks", request.walks), ("steps", request.steps)):
        if value is not None and value <= 0:
            _refuse(f"--{name} {value}: give a number above 0")
    for name, number in (("seed", request.seed), ("walk", request.walk or 0)):
        if number < 0:
            _refuse(f"--{name} {number}: give 0 or a number above it")
    for name, value in (("horizon", bounds.depth), ("states", bounds.states), ("seconds", bounds.seconds)):
        if request.is_walk and value is not None:
            _refuse(f"--{name} {value}: is no bound of walks; give --walks and --steps alone")
    if request.is_walk and not (request.lockstep and request.invariants):
        _refuse("--no-lockstep, --no-invariants: walks are always checked; leave them out")
    if request.cluster is not None and not request.is_walk:
        _refuse(f"--cluster {request.cluster}: only walks are made on a cluster; give --walks, too")
    if request.processes < 0:
        _refuse(f"--processes {request.processes}: give 0 for one a core, or a number above 0")
    if out is not None and out.exists() and not out.is_dir():
        _refuse(f"--out {out}: is no folder; name one, or one that is to be made")
    known = {name for world in request.worlds.values() for name in world.operations}
    for name in request.allow_unfired:
        if name not in known:
            _refuse(f"--allow-unfired {name}: is no operation of the world; one of {', '.join(sorted(known))}")


def _run(request: CheckRequest) -> int:
    """Check all worlds up to the first that is violated; the exit code."""
    from models.check_report import summary, told_of_walks
    from models.walks import WalksInterrupted

    documents: list[dict[str, Any]] = []
    lassos: list[dict[str, Any]] = []
    code = 0
    try:
        if request.is_walk:
            for name, world in request.worlds.items():
                documents.append(told_of_walks(name, _walked(name, world, request), request.out))
                _show(documents[-1], request)
        else:
            _explore(request, documents, lassos)
    except _Violated:
        pass
    except KeyboardInterrupt as stop:
        typer.echo("jsm check: interrupted; what is shown is what was finished", err=True)
        code = 130
        if isinstance(stop, WalksInterrupted):
            documents.append(told_of_walks(name, stop.result, request.out))
            with suppress(_Violated):
                _show(documents[-1], request)
    except OSError as error:
        _refuse(f"--out {request.out}: {error.strerror}; name a folder that can be written to")
    verdicts = [document["verdict"] for document in (*documents, *lassos)] or ["undetermined"]
    verdict = max(verdicts, key=list(EXIT_CODES).index)
    if request.as_json and documents:
        typer.echo(json.dumps(summary(verdict, documents, lassos), indent=2, ensure_ascii=False))
    return code or EXIT_CODES[verdict]


def _explore(request: CheckRequest, documents: list[dict[str, Any]], lassos: list[dict[str, Any]]) -> None:
    """Visit all states of the worlds, then look for lassos; raises `_Violated` after the first that is violated."""
    from models.check_report import told, told_of_lassos
    from models.check_result import CheckResult
    from models.check_worlds import World, explored

    checks = (request.lockstep, request.invariants, request.allow_unfired)
    worlds = [World(name, world, False, *checks) for name, world in request.worlds.items()]
    worlds += [World(name, world, lassos=True) for name, world in request.promises.items()]
    progress = None if request.quiet or not sys.stderr.isatty() else _progress
    results = explored(worlds, bounds=request.bounds, processes=request.processes, progress=progress)
    with closing(results):
        for world, result in results:
            if isinstance(result, CheckResult):
                documents.append(told(world.name, result, request.out))
                _show(documents[-1], request)
            else:
                lassos.append(told_of_lassos(world.name, result, request.out))
                _show(lassos[-1], request)


class _Violated(Exception):
    """A world is violated: nothing more is checked."""


def _walked(name: str, world: "Scope", request: CheckRequest) -> "WalksResult":
    from jsm.engines import EngineError
    from models.walks import WALKS, walk

    try:
        return walk(
            world,
            walks=request.walks or WALKS,
            steps=request.steps,
            seed=request.seed,
            only=request.walk,
            processes=request.processes,
            cluster=request.cluster,
            progress=None if request.quiet or not sys.stderr.isatty() else _progress(name, "walks"),
        )
    except EngineError as error:
        _refuse(f"--cluster {error}")


def _show(document: dict[str, Any], request: CheckRequest) -> None:
    text = document.pop("text")
    if not request.as_json:
        typer.echo(text)
    if document["verdict"] == "violated":
        raise _Violated


def _worlds(names: list[str], bounds: dict[str, Any], *, is_walk: bool) -> "dict[str, Scope]":
    """The worlds by name; bounds that are given replace those of each, of `small` when no world is named.

    Walks are for worlds that are too large to be visited, so for them it is `large`.
    """
    from models.scope import DEFAULT_SCOPES

    given = {field: value for field, value in bounds.items() if value is not None}
    chosen = names or (["large"] if is_walk else ["small"] if given else list(DEFAULT_SCOPES))
    return {name: _scope(name, given) for name in chosen}


def _scope(name: str, given: dict[str, Any]) -> "Scope":
    from models.scope import SCOPES

    if name not in SCOPES:
        _refuse(f"--scope {name}: there is no such world; one of {', '.join(SCOPES)}")
    try:
        return SCOPES[name].but(**given)
    except ValueError as error:
        _refuse(f"--{error}")


def _lists(**texts: str | None) -> dict[str, tuple[int | None, ...] | None]:
    """The values of the options that are lists, by field of a scope."""
    return {field: _numbers(field, text, none=field == "timeouts") for field, text in texts.items()}


def _numbers(field: str, text: str | None, *, none: bool = False) -> tuple[int | None, ...] | None:
    if text is None:
        return None
    values: list[int | None] = []
    for part in text.split(","):
        if none and part == "none":
            values.append(None)
        elif part.isascii() and part.isdecimal():
            values.append(int(part))
        else:
            allowed = "whole numbers or none" if none else "whole numbers"
            _refuse(f"--{field} {text}: {part!r} is not one; give {allowed}, separated by commas")
    return tuple(values)


def _worlds_of_promises(
    names: list[str], bounds: dict[str, Any], asked: bool | None, *, is_walk: bool
) -> "dict[str, Scope]":
    """The worlds in which lassos are looked for."""
    from models.scope import SCOPES

    if asked:
        return {name: world.but(refusals=False) for name, world in _worlds(names, bounds, is_walk=is_walk).items()}
    is_default = not names and not is_walk and all(value is None for value in bounds.values())
    return {"promises": SCOPES["promises"]} if asked is None and is_default else {}


def _progress(name: str, what: str = "known states") -> Callable[[int, int], None]:
    def show(done: int, known: int) -> None:
        end = "\n" if done >= known else ""
        sys.stderr.write(f"\r{name}: {done:,} of {known:,} {what} done{end}")
        sys.stderr.flush()

    return show


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm check: {message}", err=True)
    raise typer.Exit(2)
