"""What `jsm check` says of an exploration: to people in lines, to machines in documents."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from models.check_result import CheckResult
from models.finding import Counterexample
from models.liveness import LivenessResult
from models.minimise import minimise
from models.renderings import FORMS, render, write_counterexample
from models.scope import SCOPES, Scope
from models.walks import WalksResult


def told(name: str, result: CheckResult, out: Path | None) -> dict[str, Any]:
    """What came out of a world for machines, with its `text` for people; a counterexample is written into `out`.

    Raises `OSError` when the folder can't be written.
    """
    shown = result.counterexample
    document = {"world": name, **result.document(), "counterexample": None}
    text = [f"{name}: {_headline(result)}"]
    if shown is not None:
        document["counterexample"], lines = _shown(shown, out)
        text += lines
    document["text"] = "\n".join([*text, *_details(result)])
    return document


def told_of_walks(name: str, result: WalksResult, out: Path | None) -> dict[str, Any]:
    """What came of random walks through a world, as `told`."""
    document = {"world": name, **result.document(), "counterexample": None}
    size = f"{result.walks:,} walks of seed {result.seed}, {result.steps:,} steps, {len(result.states):,} states"
    bounds = result.scope.text()
    headline = f"undetermined: nothing was found in {size}, which proves nothing; world: {bounds}"
    if result.failed is not None:
        found = "a fault" if result.counterexample is None else result.counterexample.finding.name
        headline = f"violated: {found} in walk {result.failed} of seed {result.seed}, step {result.failed_steps:,}; "
        headline += f"world: {bounds}"
    text = [f"{name}: {headline}"]
    if result.counterexample is not None:
        document["counterexample"], lines = _shown(result.counterexample, out, is_short=True)
        text += lines
    if result.failed is not None:
        again = f"jsm check --scope {name}{options_of(name, result.scope)} --walk {result.failed}"
        document["walks"]["again"] = f"{again} --seed {result.seed} --steps {result.failed_steps}"
        text.append(f"again:    {document['walks']['again']}")
    coverage = document["coverage"]
    met = sum(1 for count in coverage["edges"].values() if count)
    text.append(
        f"coverage: {met} of {len(coverage['edges'])} edges, {coverage['edge_pairs']['met']} of "
        f"{coverage['edge_pairs']['all']} edge pairs, {len(coverage['refusals'])} kinds of refusals"
    )
    if result.share is not None:
        share = result.share
        text.append(
            f"share:    {share.states:,} of the world's {share.states_all:,} states, {share.edges:,} of the "
            f"{share.edges_all:,} steps between them"
        )
    closely = ", ".join(f"{count:,} for {part}" for part, count in sorted(result.checked.items()))
    text.append(f"checks:   {result.steps:,} steps in lock-step, and closely: {closely}")
    text.append(f"speed:    {result.seconds:.1f} s, {result.steps_per_second:,.0f} steps/s")
    if result.never_fired:
        text.append(f"never accepted: {', '.join(result.never_fired)}")
    document["text"] = "\n".join(text)
    return document


def options_of(name: str, scope: Scope) -> str:
    """The options, each with a blank before it, that make a world of that name this one."""
    named = SCOPES[name]
    options = ""
    for field in ("jobs", "clients", "tubes", "priorities", "delays", "ttrs", "timeouts", "pauses", "operations"):
        value = getattr(scope, field)
        if value != getattr(named, field):
            parts = value if isinstance(value, tuple) else (value,)
            options += f" --{field} {','.join('none' if part is None else str(part) for part in parts)}"
    if scope.late != named.late:
        options += " --late" if scope.late else " --on-time"
    if scope.symmetry != named.symmetry:
        options += " --symmetry" if scope.symmetry else " --no-symmetry"
    return options


def _shown(shown: Counterexample, out: Path | None, *, is_short: bool = False) -> tuple[dict[str, Any], list[str]]:
    """The counterexample made short, for machines and for people; its renderings are written into a folder."""
    if not is_short:
        with suppress(ValueError):  # what only the exploration saw can't be judged again, and stays as it is
            shown = minimise(shown)
    renderings = {form: render(shown, form) for form in FORMS}
    lines = [renderings["steps"]]
    if out is not None:
        lines += [f"wrote {path}" for path in write_counterexample(out, shown)]
    calls = [str(call) for call in shown.calls]
    return {"finding": shown.finding._asdict(), "calls": calls, "loop_start": shown.loop_start, **renderings}, lines


def told_of_lassos(name: str, result: LivenessResult, out: Path | None) -> dict[str, Any]:
    """What came of the search for lassos in a world, as `told`."""
    bounds, size = result.scope.text(), f"{result.states:,} states, {result.transitions:,} transitions, no symmetry"
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
    document["text"] = "\n".join(text)
    return document


def summary(verdict: str, worlds: list[dict[str, Any]], lassos: list[dict[str, Any]]) -> dict[str, Any]:
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


def _headline(result: CheckResult) -> str:
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


def _details(result: CheckResult) -> list[str]:
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
