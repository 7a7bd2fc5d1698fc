"""`jsm check`: visits every state of a small world and says in one line what has been proved."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from models.check_result import CheckResult
    from models.scope import Scope

EXIT_CODES: Final = {"holds": 0, "violated": 1, "undetermined": 3}

_DEFAULT: Final = "small"


def check(
    *,
    scope: Annotated[
        str, typer.Option(help="The world to begin with: tiny, small, medium, large, tubes, spin.")
    ] = _DEFAULT,
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
    allow_unfired: Annotated[
        list[str] | None, typer.Option(help="An operation that need not be accepted anywhere; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the renderings of a counterexample into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Visit every state of a small world over the real machine: does every history keep the protocol?

    Exit 0: it holds, for histories of any length. 1: violated; the shortest counterexample is shown. 2: bad input.
    3: undetermined, a bound was hit.
    """
    world = _scope(
        scope,
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
    if out is not None and out.exists() and not out.is_dir():
        _refuse(f"--out {out}: is no folder; name one, or one that is to be made")
    unknown = [name for name in allow_unfired or () if name not in world.operations]
    if unknown:
        _refuse(f"--allow-unfired {unknown[0]}: is no operation of the world; one of {', '.join(world.operations)}")
    from models.check_result import Bounds
    from models.explorer import explore

    result = explore(
        world,
        lockstep=lockstep,
        invariants=invariants,
        bounds=Bounds(states=states, depth=horizon, seconds=seconds),
        allow_unfired=allow_unfired or (),
        progress=None if quiet or not sys.stderr.isatty() else _progress(),
    )
    _tell(result, out, as_json=as_json)
    raise typer.Exit(EXIT_CODES[result.verdict])


def _scope(name: str, **bounds: Any) -> "Scope":
    from models.scope import SCOPES

    if name not in SCOPES:
        _refuse(f"--scope {name}: there is no such world; one of {', '.join(SCOPES)}")
    given = {field: value for field, value in bounds.items() if value is not None}
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


def _tell(result: "CheckResult", out: Path | None, *, as_json: bool) -> None:
    """Print what came out, and write the renderings of a counterexample."""
    shown = result.counterexample
    document = {**result.document(), "counterexample": None}
    text = [_headline(result)]
    if shown is not None:
        from models.minimise import minimise
        from models.renderings import FORMS, render, write_counterexample

        shown = minimise(shown)
        document["counterexample"] = {
            "finding": shown.finding._asdict(),
            "calls": [str(call) for call in shown.calls],
            **{form: render(shown, form) for form in FORMS},
        }
        text.append(render(shown, "steps"))
        if out is not None:
            try:
                paths = write_counterexample(out, shown)
            except OSError as error:
                _refuse(f"--out {out}: {error.strerror}; name a folder that can be written to")
            text += [f"wrote {path}" for path in paths]
    if as_json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    text += _details(result)
    typer.echo("\n".join(text))


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
        f"speed:    {result.seconds:.1f} s, {result.states_per_second:,.0f} states/s, {result.bytes_per_state:.0f} bytes a state",
    ]
    if met:
        lines.append(
            f"coverage: {met} of {len(edges)} edges, {coverage['edge_pairs']['met']} of {coverage['edge_pairs']['all']} "
            f"edge pairs, {len(coverage['refusals'])} kinds of refusals"
        )
    if result.never_fired:
        lines.append(f"never accepted: {', '.join(result.never_fired)}")
    return lines


def _progress() -> Callable[[int, int], None]:
    def show(done: int, known: int) -> None:
        end = "\n" if done >= known else ""
        sys.stderr.write(f"\r{done:,} of {known:,} known states done{end}")
        sys.stderr.flush()

    return show


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm check: {message}", err=True)
    raise typer.Exit(2)
