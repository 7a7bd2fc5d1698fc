"""The table that `jsm simulate` prints: a run's summary for a person, 80 columns wide when it goes into a file."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sim.report import NONE, format_count, format_duration, format_percent, format_rate, label_of

_COLUMNS: Final = 80
_COLUMNS_MAX: Final = 110  # beyond it a line is hard to follow
_QUANTILES: Final = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max"}
_MEASURES: Final = {"wait_seconds": "Wait, put to first reserve", "total_seconds": "Total, put to delete"}
_EVENTS: Final = ("reserves", "timeouts", "releases", "buries", "kicks", "touches", "closes")


def print_summary(summary: Mapping[str, Any], run: Mapping[str, Any], out: Path) -> None:
    """Print what `summary.json` and `run.json` hold to standard output, and where the files are."""
    print_parts(
        Text(plain(summary["description"]), style="bold"),
        plain(_what_was_run(summary)),
        "",
        _rows(list(_numbers(summary))),
        "",
        _latencies(summary),
        "",
        _rows([*_checks(summary), *_speed(run), *_notes(summary), *_files(out)]),
    )


def print_scenarios(scenarios: Mapping[str, str], default: str) -> None:
    """Print the bundled scenarios, by name, with their descriptions."""
    rows = [(name, f"{text} (run when none is named)" if name == default else text) for name, text in scenarios.items()]
    print_parts(_rows(rows))


def print_parts(*parts: RenderableType) -> None:
    """Print to standard output: as wide as a terminal, but not too wide; 80 columns and no colours into a file."""
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    console.width = min(console.width, _COLUMNS_MAX) if console.is_terminal else _COLUMNS
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def _what_was_run(summary: Mapping[str, Any]) -> str:
    seconds, warmup = summary["simulated_seconds"], summary["warmup_seconds"]
    words = [f"{summary['scenario']}, seed {summary['seed']}: {format_duration(seconds)} simulated"]
    if summary["interrupted"]:
        words.append("until it was interrupted")
    if warmup:
        words.append(f"(rates, latencies and events without the first {format_duration(warmup)}, the warm-up)")
    return " ".join(words)


def _numbers(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    jobs, counts, pools = summary["jobs"], summary["counts"], summary["workers"]
    left = jobs["left"]
    by_state = ", ".join(f"{format_count(number)} {state}" for state, number in left.items())
    yield "Jobs", f"{format_count(jobs['put'])} put, {format_count(jobs['deleted'])} deleted"
    yield "Left", f"{format_count(sum(left.values()))}: {by_state}"
    yield "Throughput", f"{format_rate(summary['throughput_per_second'])} deleted"
    by_pool = ", ".join(
        f"{name} {format_percent(pool['utilisation'])} of {pool['count']}" for name, pool in pools.items()
    )
    yield "Utilisation", f"{format_percent(summary['utilisation'])} of all workers' time ({by_pool})"
    yield "Events", ", ".join(f"{format_count(counts[name])} {label_of(name)}" for name in _EVENTS)


def _latencies(summary: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", expand=False)
    table.add_column("Latency", overflow="fold")
    for heading in ("jobs", *_QUANTILES.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    for key, title in _MEASURES.items():
        everything = summary[key]
        classes = everything["by_class"]
        table.add_row(title, *_latency_cells(everything))
        for name, row in classes.items() if len(classes) > 1 else ():  # the only class is everything
            table.add_row(f"  {name}", *_latency_cells(row), style="dim")
    return table


def _latency_cells(row: Mapping[str, Any]) -> list[str]:
    return [plain(format_count(row["count"])), *(plain(format_duration(row[key])) for key in _QUANTILES)]


def _checks(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    transitions, checks = summary["transitions"], summary["checks"]
    seen = sum(1 for count in transitions["edges"].values() if count)
    yield (
        "Transitions",
        f"{format_count(transitions['checked'])} checked against the state diagram, "
        f"{format_count(transitions['illegal'])} illegal; {seen} of its {len(transitions['edges'])} edges seen, "
        f"{transitions['edge_pairs_seen']} pairs of edges in a row",
    )
    yield "Invariants", _invariants(summary["invariants"])
    failing = [check for check in checks if not check["holds"]]
    yield "Self-checks", f"all {len(checks)} hold" if not failing else f"{len(failing)} of {len(checks)} FAIL"
    for check in failing:
        yield "FAILS", f"{check['name']}: {check['left']} is not {check['right']}; {check['text']}"


def _invariants(checked: Mapping[str, Any]) -> str:
    """What was checked of the machine's invariants; a broken one would have ended the run."""
    if checked["mode"] == "off":
        return "not checked (--check off)"
    key, unit = ("calls", "calls") if "calls" in checked else ("records", "transitions")
    seen, looked_at = checked[key], checked[f"{key}_checked"]
    evaluated = checked["evaluated"]
    alive = sum(1 for count in evaluated.values() if count)
    return (
        f"all {len(evaluated)} hold, {alive} of them put to the test, "
        f"on {format_count(looked_at)} of {format_count(seen)} {unit} (--check {checked['mode']})"
    )


def _speed(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    simulated, jobs = run["simulated_seconds_per_second"], run["jobs_per_second"]
    yield (
        "Speed",
        f"{NONE if simulated is None else format_duration(simulated)} simulated a second, "
        f"{format_count(jobs)} jobs a second; {format_duration(run['wall_seconds'])} in all",
    )


def _notes(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, log in (summary.get("input") or {}).items():
        rejected = sum(row["count"] for row in log["rejected"])
        yield (
            "Input",
            f"{name}: {log['file']}, {format_count(log['lines_read'])} lines read, {format_count(log['used'])} used, "
            f"{format_count(sum(log['left_out'].values()))} left out, {format_count(rejected)} rejected",
        )
        for row in log["rejected"]:
            yield "", f"rejected: {row['reason']}, {format_count(row['count'])} (first in line {row['first_line']})"
    for number, note in enumerate(summary["notes"]):
        yield "" if number else "Notes", note


def _files(out: Path) -> Iterator[tuple[str, str]]:
    yield "Report", str(out / "report.html")
    others = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in out.iterdir()]
    yield "Beside it", ", ".join(sorted(name for name in others if name != "report.html"))


def _rows(rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, plain(text))
    return table


def plain(text: str) -> str:
    """The text with plain spaces, for terminals whose letters have no others."""
    return text.replace("\u202f", " ")
