"""Writes report.html: one file that shows a run to a person, and that asks nobody for anything.

Figures are inside the file, there is no script, and a content security policy forbids every request, so the page
reads the same from a disk, a mail or a server, today and in ten years.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from sim.plots import PLOTS, Plot
from sim.result_folder import ResultFolder, ResultFolderError, read_result_folder

LATENCY_KEYS: Final = (
    ("mean", "mean"),
    ("p50", "p50"),
    ("p90", "p90"),
    ("p99", "p99"),
    ("p999", "p99.9"),
    ("max", "max"),
)
NONE: Final = "–"
"""What stands where there is no number: the wait of no job, the utilisation of no worker."""

_THIN_SPACE: Final = "\u202f"


@dataclass(frozen=True, slots=True)
class _Figure:
    plot: Plot
    source: str  # a data URI


@dataclass(frozen=True, slots=True)
class _LatencyRow:
    measure: str
    name: str
    count: int
    values: tuple[str, ...]


def write_report(folder: Path) -> Path:
    """Writes `folder`/report.html from summary.json, run.json, metrics/*.parquet and plots/*.svg; returns its path.

    Equal files give equal bytes. Raises `ResultFolderError` when a file, a key or a column is missing.
    """
    results = read_result_folder(folder)
    target = folder / "report.html"
    target.write_text(render_report(results), encoding="utf-8", newline="\n")
    return target


def render_report(results: ResultFolder) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("sim", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=format_duration,
        count=format_count,
        value=format_value,
        rate=format_rate,
        label=label_of,
        number=format_number,
    )
    environment.globals.update(field=format_field)
    summary = results.summary
    try:
        return environment.get_template("report.html.j2").render(
            summary=summary,
            headlines=_headlines(summary),
            failed=[check for check in summary["checks"] if not check["holds"]],
            figures=list(_figures(results.path)),
            latency_headings=[heading for _, heading in LATENCY_KEYS],
            latency_rows=list(_latency_rows(summary)),
            pool_headings=_pool_headings(summary["workers"]),
            edges=results.edges.sort("count", descending=True, maintain_order=True).to_dicts(),
            run_rows=list(flat_rows(results.run)),
            inputs={name: list(_input_rows(log)) for name, log in (summary.get("input") or {}).items()},
        )
    except KeyError as error:
        raise ResultFolderError(
            results.path / "summary.json", "the key is missing", field=str(error.args[0])
        ) from error


def _headlines(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(label, number, remark) of the boxes at the top."""
    jobs, counts = summary["jobs"], summary["counts"]
    left = sum(jobs["left"].values())
    wait, total = summary["wait_seconds"], summary["total_seconds"]
    return [
        ("Throughput", format_rate(summary["throughput_per_second"]), f"{format_count(jobs['deleted'])} jobs deleted"),
        ("Utilisation", format_percent(summary["utilisation"]), "of the time of all workers"),
        *((f"Wait {heading}", format_duration(wait[key]), "") for key, heading in LATENCY_KEYS if key[0] == "p"),
        ("Total p50", format_duration(total["p50"]), ""),
        ("Total p99", format_duration(total["p99"]), ""),
        ("Jobs put", format_count(jobs["put"]), ""),
        (
            "Jobs left",
            format_count(left),
            ", ".join(f"{format_count(n)} {state}" for state, n in jobs["left"].items() if n),
        ),
        *((name.capitalize(), format_count(counts[name]), "") for name in ("timeouts", "releases", "buries")),
        ("Simulated time", format_duration(summary["simulated_seconds"]), ""),
        ("Transitions checked", format_count(summary["transitions"]["checked"]), _illegal(summary)),
    ]


def _illegal(summary: Mapping[str, Any]) -> str:
    illegal = summary["transitions"]["illegal"]
    return "all legal" if illegal == 0 else f"{format_count(illegal)} illegal"


def _figures(folder: Path) -> Iterator[_Figure]:
    for plot in PLOTS:
        file = folder / "plots" / f"{plot.name}.svg"
        if file.exists():
            encoded = base64.b64encode(file.read_bytes()).decode("ascii")
            yield _Figure(plot, f"data:image/svg+xml;base64,{encoded}")


def _latency_rows(summary: Mapping[str, Any]) -> Iterator[_LatencyRow]:
    for measure in ("wait", "total"):
        everything = summary[f"{measure}_seconds"]
        for name, row in (("all", everything), *everything["by_class"].items()):
            values = tuple(format_duration(row[key]) for key, _ in LATENCY_KEYS)
            yield _LatencyRow(measure, name, row["count"], values)


def _pool_headings(pools: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every number that some pool has, in the order of first appearance."""
    return list(dict.fromkeys(key for pool in pools.values() for key in pool))


def _input_rows(log: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What became of a log's lines; a rejected line has a reason, a count and the first line that it happened in."""
    yield from flat_rows({key: value for key, value in log.items() if key != "rejected"})
    if not log["rejected"]:
        yield "rejected", "none"
    for reject in log["rejected"]:
        text = f"{format_count(reject['count'])} (first in line {format_count(reject['first_line'])})"
        yield f"rejected: {reject['reason']}", text


def flat_rows(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of everything in nested mappings and lists, in their order; names joined by a colon.

    A number whose name ends in `_seconds` is shown as a duration.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = label_of(str(key))
            name = f"{prefix}: {name}" if prefix else name
            if isinstance(inner, Mapping | list):
                yield from flat_rows(inner, name)
            else:
                yield name, format_field(str(key), inner)
        if not value and prefix:
            yield prefix, "none"
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for number, inner in enumerate(value, start=1):
            yield from flat_rows(inner, f"{prefix} {number}".strip())
    elif isinstance(value, list):
        yield prefix, ", ".join(format_value(inner) for inner in value) or "none"
    else:
        yield prefix, format_value(value)


def label_of(key: str) -> str:
    """A key as a person reads it: its unit is shown with the number."""
    return key.removesuffix("_seconds").replace("_", " ")


def format_field(key: str, value: Any) -> str:
    """A value by what its key says it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if key.endswith("_seconds"):
            return format_duration(value)
        if key == "utilisation":
            return format_percent(value)
    return format_value(value)


def format_count(count: float | None) -> str:
    """A whole number with its thousands separated."""
    return NONE if count is None else f"{count:,.0f}"


def format_percent(fraction: float | None) -> str:
    """A fraction as a percentage with one decimal."""
    return NONE if fraction is None else f"{100 * fraction:.1f}{_THIN_SPACE}%"


def format_number(number: float | None) -> str:
    """A number with three significant digits."""
    return NONE if number is None else _significant(number)


def format_rate(per_second: float | None) -> str:
    """A rate in the unit of time in which it is at least 1, or a day."""
    if per_second is None:
        return NONE
    for seconds, unit in ((1, "s"), (60, "min"), (3600, "h")):
        if per_second * seconds >= 1 or per_second == 0:
            return f"{_significant(per_second * seconds)}{_THIN_SPACE}/{_THIN_SPACE}{unit}"
    return f"{_significant(per_second * 86400)}{_THIN_SPACE}/{_THIN_SPACE}d"


def format_duration(seconds: float | None) -> str:
    """A duration with three significant digits and the unit in which it reads best, from µs to days."""
    if seconds is None:
        return NONE
    if seconds == 0:
        return f"0{_THIN_SPACE}s"
    for limit, unit, name in ((1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min")):
        if abs(seconds) < limit:
            return f"{_significant(seconds / unit)}{_THIN_SPACE}{name}"
    if abs(seconds) < 172_800:
        return f"{_significant(seconds / 3600)}{_THIN_SPACE}h"
    return f"{_significant(seconds / 86400)}{_THIN_SPACE}d"


def format_value(value: Any) -> str:
    """Any JSON value as text: numbers readable, text as it is."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _significant(value, digits=7)
    return value if isinstance(value, str) else json.dumps(value)


def _significant(number: float, *, digits: int = 3) -> str:
    """So many significant digits, but never fewer than the whole part has, and a whole number as it is."""
    if number == int(number):
        return f"{number:,.0f}"
    if number != 0 and abs(number) < 1e-4:
        return f"{number:.{digits - 1}e}"
    rounded = f"{number:.{digits}g}"
    if "e" in rounded or abs(number) >= 10**digits:
        return f"{number:,.0f}"
    return f"{float(rounded):,.{max(0, digits - 1 - _exponent(float(rounded)))}f}" if digits == 3 else rounded


def _exponent(number: float) -> int:
    return 0 if number == 0 else int(f"{number:e}".partition("e")[2])
