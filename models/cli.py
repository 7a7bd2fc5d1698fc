"""The commands of this room, for the door (`jsm/__main__.py`) to register.

Each is a plain function with Typer's annotations. Bad input is one line on standard error and exit code 2.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from jsm.transitions import Transition
from models.diagram import DiagramFormat, render
from models.output import write_whole

if TYPE_CHECKING:
    import networkx as nx

    from jsm.states import JobState


def graph(
    *,
    form: Annotated[
        DiagramFormat, typer.Option("--format", help="mermaid and dot are text; svg and png are drawn.")
    ] = DiagramFormat.MERMAID,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Write nothing; exit 1 unless this file is what would be written.")
    ] = None,
    counts: Annotated[
        Path | None, typer.Option(help="Show on the edges the counts of a run: its summary.json.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print states, edges and what was checked as one JSON document.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing on standard error but errors.")] = False,
) -> None:
    """Draw the state diagram that everything is checked against.

    Exit 0: done. 1: the diagram is not sound, or --check found the file stale. 2: bad input.
    """
    from models.graph import graph_findings, transition_graph

    if out is not None and check is not None:
        _refuse("--out and --check exclude each other: a check writes nothing; leave one out")
    taken = None if counts is None else _read_counts(counts)
    diagram = transition_graph()
    findings = graph_findings(diagram)
    document = _document(diagram, findings, taken) if as_json else {}
    notes = [f"the diagram is not sound: {finding}" for finding in findings]
    if check is not None:
        stale = _is_stale(check, render(form, taken))
        document["check"] = {"file": str(check), "stale": stale}
        if stale:
            notes.append(f"{check} is stale; write it anew: jsm graph --format {form} --out {check}")
    elif out is not None:
        _write(out, render(form, taken))
        document["out"] = str(out)
    elif not as_json:
        _print(form, render(form, taken))
    if as_json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    for note in notes:
        typer.echo(f"jsm graph: {note}", err=True)
    if notes:
        raise typer.Exit(1)
    if not quiet and not as_json and out is not None:
        typer.echo(f"wrote {out}", err=True)
    if not quiet and not as_json and check is not None:
        typer.echo(f"{check} is up to date", err=True)


def _document(
    diagram: "nx.MultiDiGraph[JobState]", findings: list[str], counts: Mapping[Transition, int] | None
) -> dict[str, Any]:
    """The graph for machines."""
    from models.graph import edge_name, edge_pairs, edges_of, pair_name

    edges = []
    for edge in edges_of(diagram):
        data = diagram.edges[edge.source, edge.target, edge.trigger]
        row = {"name": edge_name(edge), **edge._asdict(), "by": data["by"], "operations": list(data["operations"])}
        edges.append(row if counts is None else {**row, "count": counts.get(edge, 0)})
    return {
        "states": [{"name": state, **data} for state, data in diagram.nodes(data=True)],
        "edges": edges,
        "edge_pairs": [pair_name(pair) for pair in edge_pairs(diagram)],
        "sound": not findings,
        "findings": findings,
    }


def _read_counts(path: Path) -> dict[Transition, int]:
    """The counts of the edges in a run's `summary.json`, at `transitions.edges`."""
    from models.graph import edge_named

    try:
        document = json.loads(path.read_bytes())
        edges = document["transitions"]["edges"]
        items = list(edges.items())
    except OSError as error:
        _refuse(f"--counts {path}: {error.strerror}; name the summary.json of a run")
    except ValueError as error:
        _refuse(f"--counts {path}: not JSON ({error}); name the summary.json of a run")
    except (KeyError, TypeError, AttributeError):
        _refuse(f"--counts {path}: has no object at transitions.edges; name the summary.json of a run")
    taken = {}
    for name, count in items:
        if type(count) is not int or count < 0:
            _refuse(f"--counts {path}: transitions.edges[{name!r}] = {count!r}: expected a whole number from 0 on")
        try:
            taken[edge_named(name)] = count
        except KeyError:
            _refuse(f"--counts {path}: transitions.edges has {name!r}, which is no edge; jsm graph --json lists them")
    return taken


def _is_stale(path: Path, expected: bytes) -> bool:
    try:
        return path.read_bytes() != expected
    except OSError as error:
        _refuse(f"--check {path}: {error.strerror}; name a file that jsm graph --out wrote")


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        _refuse(f"--out {path}: {error.strerror}; name a file in a folder that can be written to")


def _print(form: DiagramFormat, content: bytes) -> None:
    if form is DiagramFormat.PNG and _is_terminal():
        _refuse("--format png: a terminal can't show it; give --out FILE, or send it down a pipe")
    typer.echo(content, nl=False)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _refuse(message: str) -> NoReturn:
    """End the command as bad input: one line, exit code 2."""
    typer.echo(f"jsm graph: {message}", err=True)
    raise typer.Exit(2)
