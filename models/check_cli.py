"""`jsm check`: visits every state of a small world and says in one line what has been proved."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from models.check_result import CheckResult
    from models.finding import Counterexample
    from models.scope import Scope

EXIT_CODES: Final = {"holds": 0, "undetermined": 3, "violated": 1}
"""By verdict, from the best to the worst."""


def check(
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A world: tiny, small, late, tubes, medium, large, spin; may be repeated. Default: three."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="At most so many live jobs.")] = None,
    clients: Annotated[int | None, typer.Option(help="So many clients.")] = None,
    tubes: Annotated[int | None, typer.Option(help="So many tubes.")] = None,
    priorities: Annotated[str | None, typer.Option(help="The priorities, such as 0,1.")] = None,
    delays: Annotated[str | None, typer.Option(help="The delays in seconds, such as 0,1.")] = None,
    ttrs: Annotated[str | None, typer.Option(help="The ttrs in seconds, such as 1,2.")] = None,
    timeouts: Annotated[
        str | None, typer.Option(help="The timeouts of a reserve in seconds, such as none,0,1.")
    ] = None,
    pauses: Annotated[str | None, typer.Option(help="The pauses in seconds, such as 0,1.")] = None,
    operations: Annotated[str | None, typer.Option(help="Only these operations, such as put,delete,tick.")] = None,
    late: Annotated[bool | None, typer.Option("--late/--on-time", help="Whether ticks may come late.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Give up after histories of so many calls (exit 3).")] = None,
    states: Annotated[int | None, typer.Option(help="Give up when more states than this are known (exit 3).")] = None,
    seconds: Annotated[float | None, typer.Option(help="Give up after this time (exit 3).")] = None,
    lockstep: Annotated[bool, typer.Option(help="Compare every call with the specification.")] = True,
    invariants: Annotated[bool, typer.Option(help="Check the invariants at every call.")] = True,
    symmetry: Annotated[bool | None, typer.Option(help="Take clients as exchangeable.")] = None,
    liveness: Annotated[
        bool | None,
        typer.Option(
            help="Look for lassos, too: in each world; by default in the world `promises` when none is named."
        ),
    ] = None,
    allow_unfired: Annotated[
        list[str] | None, typer.Option(help="An operation that need not be accepted anywhere; may be repeated.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes side by side; 0: one a core.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the renderings of a counterexample into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Visit every state of a small world over the real machine: does every history keep the protocol?

    Exit 0: it holds, for histories of any length. 1: violated; the shortest counterexample is shown. 2: bad input.
    3: undetermined, a bound was hit.
    """
    worlds = _worlds(
        scope or [],
        jobs=jobs,
        clients=clients,
        tubes=tubes,
        priorities=_numbers("priorities", priorities),
        delays=_numbers("delays", delays),
        ttrs=_numbers("ttrs", ttrs),
        timeouts=_numbers("timeouts", timeouts, none=True),
        pauses=_numbers("pauses", pauses),
        operations=None if operations is None else tuple(operations.split(",")),
        late=late,
        symmetry=symmetry,
    )
    for name, value in (("horizon", horizon), ("states", states), ("seconds", seconds)):
        if value is not None and value <= 0:
            _refuse(f"--{name} {value}: give a number above 0")
    if processes < 0:
        _refuse(f"--processes {processes}: give 0 for one a core, or a number above 0")
    if out is not None and out.exists() and not out.is_dir():
        _refuse(f"--out {out}: is no folder; name one, or one that is to be made")
    known = {name for world in worlds.values() for name in world.operations}
    for name in allow_unfired or ():
        if name not in known:
            _refuse(f"--allow-unfired {name}: is no operation of the world; one of {', '.join(sorted(known))}")
    from models.check_result import Bounds
    from models.explorer import explore

    results: dict[str, CheckResult] = {}
    documents = []
    for name, world in worlds.items():
        result = results[name] = explore(
            world,
            lockstep=lockstep,
            invariants=invariants,
            bounds=Bounds(states=states, depth=horizon, seconds=seconds),
            allow_unfired=allow_unfired or (),
            progress=None if quiet or not sys.stderr.isatty() else _progress(name),
            processes=processes,
        )
        documents.append(_tell(name, result, out, as_json=as_json))
        if result.verdict == "violated":
            break
    verdicts = [result.verdict for result in results.values()]
    lassos = []
    if "violated" not in verdicts:
        for name, world in _worlds_of_promises(
            worlds, liveness, is_default=not scope and worlds == _worlds([])
        ).items():
            document = _tell_liveness(name, world, states, out, as_json=as_json)
            lassos.append(document)
            verdicts.append(document["verdict"])
    verdict = max(verdicts, key=list(EXIT_CODES).index)
    if as_json:
        typer.echo(json.dumps(_document(verdict, documents, lassos), indent=2, ensure_ascii=False))
    raise typer.Exit(EXIT_CODES[verdict])


def _worlds(names: list[str], **bounds: Any) -> "dict[str, Scope]":
    """The worlds by name; bounds that are given replace those of each, of `small` when no world is named."""
    from models.scope import DEFAULT_SCOPES

    given = {field: value for field, value in bounds.items() if value is not None}
    chosen = names or (["small"] if given else list(DEFAULT_SCOPES))
    return {name: _scope(name, given) for name in chosen}


def _scope(name: str, given: dict[str, Any]) -> "Scope":
    from models.scope import SCOPES

    if name not in SCOPES:
        _refuse(f"--scope {name}: there is no such world; one of {', '.join(SCOPES)}")
    try:
        return SCOPES[name].but(**given)
    except ValueError as error:
        _refuse(f"--{error}")


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


def _tell(name: str, result: "CheckResult", out: Path | None, *, as_json: bool) -> dict[str, Any]:
    """Print what came out, write the renderings of a counterexample, and return it all for machines."""
    shown = result.counterexample
    document = {"world": name, **result.document(), "counterexample": None}
    text = [f"{name}: {_headline(result)}"]
    if shown is not None:
        document["counterexample"], lines = _shown(shown, out)
        text += lines
    if not as_json:
        typer.echo("\n".join([*text, *_details(result)]))
    return document


def _shown(shown: "Counterexample", out: Path | None) -> tuple[dict[str, Any], list[str]]:
    """The counterexample made short, for machines and for people; its renderings are written into a folder."""
    from models.minimise import minimise
    from models.renderings import FORMS, render, write_counterexample

    with suppress(ValueError):  # what only the exploration saw can't be judged again, and stays as it is
        shown = minimise(shown)
    renderings = {form: render(shown, form) for form in FORMS}
    lines = [renderings["steps"]]
    if out is not None:
        try:
            lines += [f"wrote {path}" for path in write_counterexample(out, shown)]
        except OSError as error:
            _refuse(f"--out {out}: {error.strerror}; name a folder that can be written to")
    calls = [str(call) for call in shown.calls]
    return {"finding": shown.finding._asdict(), "calls": calls, "loop_start": shown.loop_start, **renderings}, lines


def _worlds_of_promises(worlds: "dict[str, Scope]", asked: bool | None, *, is_default: bool) -> "dict[str, Scope]":
    """The worlds in which lassos are looked for."""
    from models.scope import SCOPES

    if asked:
        return {name: world.but(refusals=False) for name, world in worlds.items()}
    return {"promises": SCOPES["promises"]} if asked is None and is_default else {}


def _tell_liveness(name: str, world: "Scope", states: int | None, out: Path | None, *, as_json: bool) -> dict[str, Any]:
    """Look for lassos in a world, print what came out, and return it for machines."""
    from models.liveness import check_liveness

    result = check_liveness(world, states_max=states)
    bounds, size = world.text(), f"{result.states:,} states, {result.transitions:,} transitions, no symmetry"
    headline = f"undetermined: {result.why} ({size}); nothing is proved of {bounds}"
    if result.verdict == "holds":
        headline = f"holds: in every history that goes on with ticks, with {bounds}, what must happen happens ({size})"
    document = {"world": name, **result.document(), "counterexample": None}
    if result.counterexample is not None:
        headline = f"violated: {result.counterexample.finding.name} after {size}; world: {bounds}"
    text = [f"{name}: {headline}"]
    if result.counterexample is not None:
        document["counterexample"], lines = _shown(result.counterexample, out)
        text += lines
    else:
        text.append(f"promises: {', '.join(f'{key} ({count:,})' for key, count in result.document()['open'].items())}")
    if not as_json:
        typer.echo("\n".join(text))
    return document


def _document(verdict: str, worlds: list[dict[str, Any]], lassos: list[dict[str, Any]]) -> dict[str, Any]:
    """One document for all worlds: sums, the largest depth, the first counterexample; coverage is that of all."""
    seconds = sum(world["seconds"] for world in worlds)
    states = sum(world["states"] for world in worlds)
    coverages = [world["coverage"] for world in worlds]
    edges = {name: sum(each["edges"][name] for each in coverages) for name in coverages[0]["edges"]}
    missing = [
        n for n in coverages[0]["edge_pairs"]["missing"] if all(n in c["edge_pairs"]["missing"] for c in coverages)
    ]
    pairs = coverages[0]["edge_pairs"]["all"]
    refusals: dict[tuple[str, ...], int] = {}
    for cell in (cell for each in coverages for cell in each["refusals"]):
        name = tuple(value for field, value in cell.items() if field != "count")
        refusals[name] = refusals.get(name, 0) + cell["count"]
    return {
        "verdict": verdict,
        "states": states,
        "transitions": sum(world["transitions"] for world in worlds),
        "depth": max(world["depth"] for world in worlds),
        "states_per_second": round(states / seconds, 1) if seconds else 0.0,
        "bytes_per_state": max(world["bytes_per_state"] for world in worlds),
        "coverage": {
            "edges": edges,
            "edge_pairs": {"met": pairs - len(missing), "all": pairs, "missing": missing},
            "refusals": [
                {**dict(zip(("state", "op", "by", "kind"), name, strict=True)), "count": count}
                for name, count in sorted(refusals.items())
            ],
        },
        "counterexample": next((w["counterexample"] for w in (*worlds, *lassos) if w["counterexample"]), None),
        "worlds": worlds,
        "liveness": lassos,
    }


def _headline(result: "CheckResult") -> str:
    """What has been proved, in a line."""
    bounds = result.scope.text()
    size = f"{result.states:,} states, {result.transitions:,} transitions, depth {result.depth}"
    if result.verdict == "holds":
        return f"holds: every history of any length with {bounds} keeps the protocol ({size})"
    if result.verdict == "undetermined":
        return f"undetermined: {result.why} ({size}); nothing is proved of {bounds}"
    if result.counterexample is None:
        return f"violated: never accepted in {size}: {', '.join(result.never_fired)}; world: {bounds}"
    return f"violated: {result.counterexample.finding.name} after {size}; world: {bounds}"


def _details(result: "CheckResult") -> list[str]:
    coverage = result.coverage.document()
    edges = coverage["edges"]
    met = sum(1 for count in edges.values() if count)
    lines = [
        f"calls:    {result.transitions:,} accepted, {result.refused:,} refused, each checked",
        f"speed:    {result.seconds:.1f} s, {result.states_per_second:,.0f} states/s, "
        f"{result.bytes_per_state:.0f} bytes a state",
    ]
    if met:
        lines.append(
            f"coverage: {met} of {len(edges)} edges, "
            f"{coverage['edge_pairs']['met']} of {coverage['edge_pairs']['all']} edge pairs, "
            f"{len(coverage['refusals'])} kinds of refusals"
        )
    if result.never_fired:
        lines.append(f"never accepted: {', '.join(result.never_fired)}")
    return lines


def _progress(name: str) -> Callable[[int, int], None]:
    def show(done: int, known: int) -> None:
        end = "\n" if done >= known else ""
        sys.stderr.write(f"\r{name}: {done:,} of {known:,} known states done{end}")
        sys.stderr.flush()

    return show


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm check: {message}", err=True)
    raise typer.Exit(2)
