"""The tables that `jsm sweep` prints: a row for each cell or value, 80 columns wide when they go into a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from sim.report import NONE, format_duration, format_number, format_percent, format_rate
from sim.table import plain, print_parts

_MAIN: Final = ("wait.mean", "wait.p50", "wait.p99", "total.mean", "total.p99", "throughput", "utilisation")
_OPEN: Final = "…"  # an end of an interval where the data don't reach


def print_sweep(document: Mapping[str, Any], measures: Sequence[str], out: Path) -> None:
    """Print what `sweep.json` holds, these measures of it."""
    keys = [axis["key"] for axis in document["over"]]
    table = _table(*keys, *measures)
    for cell in document["cells"]:
        cells = (shown(name, cell["measures"][name]) for name in measures)
        table.add_row(*(cell["settings"][key] for key in keys), *cells)
    print_parts(
        Text(f"{document['scenario']}, seed {document['seed']}: {_made(document)} for each row", style="bold"),
        "",
        table,
        "",
        f"In brackets: intervals of {100 * document['confidence']:g} %. All measures: {out / 'sweep.json'}",
    )


def print_search(document: Mapping[str, Any], out: Path) -> None:
    """Print what `find.json` holds."""
    table = _table(document["key"], "replications", "measured", "goal")
    measure = document["goal"].split()[0]
    for each in document["tried"]:
        row = (each["value"], str(each["replications"]), shown(measure, each["measured"]), each["verdict"])
        table.add_row(*row)
    print_parts(Text(answer_of(document), style="bold"), "", table, "", f"All of it: {out / 'find.json'}")


def print_replications(document: Mapping[str, Any]) -> None:
    """Print what `summary.json` holds of replications."""
    table = _table("measure", "estimate", f"{100 * document['confidence']:g} % interval")
    for name in _MAIN:
        estimate, _, interval = shown(name, document["measures"][name]).partition(" [")
        table.add_row(name, estimate, f"[{interval}" if interval else NONE)
    print_parts("", Text(f"All {document['count']} replications together", style="bold"), table)


def answer_of(document: Mapping[str, Any]) -> str:
    """The answer of a search, in a sentence or two."""
    key, goal, answer, beyond = (document[name] for name in ("key", "goal", "answer", "beyond"))
    first, last = document["values"][0], document["values"][-1]
    more = "more replications would tell (--replications)"
    if answer is None:
        if document["settled"]:
            return f"{goal}: no value of {key} from {first} to {last} reaches it."
        return f"{goal}: no value of {key} from {first} to {last} is known to reach it; {more}."
    if beyond is None:
        return f"{goal}: reached at both ends of {key} from {first} to {last}."
    known = f"{beyond} misses it" if document["settled"] else f"whether {beyond} does is open: {more}"
    return f"{key} = {answer} reaches {goal}; {known}. Confidence {100 * document['confidence']:g} %."


def shown(measure: str, told: Mapping[str, Any] | None) -> str:
    """An estimate and its interval, in the unit in which each reads best."""
    if told is None:
        return NONE
    low, high = (_OPEN if told[end] is None else _formatted(measure, told[end]) for end in ("low", "high"))
    return f"{_formatted(measure, told['estimate'])} [{low}, {high}]"


def _formatted(measure: str, value: float) -> str:
    if measure.startswith(("wait.", "total.")):
        return plain(format_duration(value))
    if measure == "throughput":
        return plain(format_rate(value))
    return plain(format_percent(value) if measure == "utilisation" else format_number(value))


def _made(document: Mapping[str, Any]) -> str:
    return f"{document['replications']} replications"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", expand=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
