"""A run's numbers as `summary.json` and as tables, written so that a folder is there whole or not at all.

Two runs with one seed give the same bytes: keys have a fixed order, floats in the summary are rounded to 9
significant digits, Parquet is written with fixed settings by one library, and nothing depends on the machine.
What does depend on it (speed, versions) goes to `run.json`. `sim.result_folder` reads a folder back.
"""

import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import polars as pl

from jsm.states import LIVE_STATES
from sim.histogram import Histogram, HistogramRows
from sim.input_errors import InputError
from sim.run_result import ALL_CLASSES, COUNTED, Outcome, RunInfo, RunResult

SUMMARY_FORMAT: Final = 1
DIGITS: Final = 9
"""Significant digits of the summary's floats."""

_QUANTILES: Final = {
    "p50": Fraction(1, 2),
    "p90": Fraction(9, 10),
    "p99": Fraction(99, 100),
    "p999": Fraction(999, 1000),
}
_BUCKET_QUANTILES: Final = ("p50", "p90", "p99")
_TIMELINE_COUNTS: Final = ("puts", "reserves", "deletes", "timeouts", "releases", "buries", "kicks")
_OUTCOME_COLUMNS: Final = {
    "jobs_done": Outcome.DONE,
    "failures": Outcome.FAILED,
    "crashes": Outcome.CRASHED,
    "late": Outcome.LATE,
    "gave_up": Outcome.GAVE_UP,
}
_STEPS_PER_NINE: Final = 36  # of the latency curve: 0, 2.5 … 90, then 90, 90.25 … 99, and so on
_NINES: Final = 5


class OutputError(InputError):
    """Results can't be written where they should go."""


def summary_of(result: RunResult, info: RunInfo) -> dict[str, Any]:
    """What `summary.json` holds, in its order; nothing in it depends on the machine's speed."""
    units = result.units_per_second
    window = result.ended_at - result.warmup_at
    edges = {f"{edge.source}>{edge.target} by {edge.trigger}": count for edge, count in result.edges.items()}
    pairs = result.watched.edge_pairs if result.watched else {}
    counts = {
        name: sum(result.window_edges[edge] for edge in result.window_edges if edge.trigger in triggers)
        for name, triggers in COUNTED.items()
    }
    summary = {
        "format": SUMMARY_FORMAT,
        "scenario": info.scenario,
        "description": info.description,
        "seed": info.seed,
        "interrupted": info.interrupted,
        "simulated_seconds": _ratio(result.ended_at, units),
        "warmup_seconds": _ratio(result.warmup_at, units),
        "jobs": {
            "put": _taken(result, "puts"),
            "deleted": _taken(result, "deletes"),
            "left": {str(state): result.left[state] for state in LIVE_STATES},
        },
        "throughput_per_second": _ratio(counts["deletes"] * units, window),
        "wait_seconds": _latency(result.wait, units),
        "total_seconds": _latency(result.total, units),
        "mean_jobs": {str(state): _ratio(result.mean_jobs[state], window) for state in LIVE_STATES},
        "utilisation": _ratio(
            sum(worker.busy for worker in result.workers), sum(worker.present for worker in result.workers)
        ),
        "workers": _pools(result),
        "counts": counts,
        "transitions": {
            "checked": result.watched.checked if result.watched else 0,
            "illegal": result.watched.illegal if result.watched else 0,
            "edges": edges,
            "edge_pairs_seen": sum(1 for count in pairs.values() if count),
        },
        "invariants": info.invariants or {"mode": "off"},
        "littles_law": {
            str(state): {
                "mean_jobs": _ratio(sides.area, result.ended_at),
                "visits_per_second": _ratio(sides.visits * units, result.ended_at),
                "mean_visit_seconds": _ratio(sides.stays, sides.visits * units),
            }
            for state, sides in result.little.items()
        },
        "checks": [
            {"name": check.name, "holds": check.holds, "left": check.left, "right": check.right, "text": check.text}
            for check in result.checks
        ],
        "notes": list(info.notes),
    }
    if info.input is not None:
        summary["input"] = info.input
    return {**summary, **(info.more or {})}


def tables_of(result: RunResult) -> dict[str, pl.DataFrame]:
    """The tables of `metrics/`, by file name without its ending."""
    return {
        "timeline": _timeline(result),
        "latency": _latency_table(result),
        "workers": _workers_table(result),
        "edges": _edges_table(result),
        "edge_pairs": _edge_pairs_table(result),
    }


def write_result(
    result: RunResult,
    info: RunInfo,
    out: Path,
    *,
    run: Mapping[str, Any],
    scenario: Mapping[str, Any],
    writers: Sequence[Callable[[Path], None]] = (),
) -> dict[str, Any]:
    """Write a run's folder: summary, run, scenario, tables, and then what each of `writers` adds; return the summary.

    Everything goes into a temporary folder beside `out`, which takes its name at the end: whatever goes wrong,
    `out` is as it was. An earlier result there is replaced. Raises `OutputError` when `out` is something else, or
    can't be written.
    """
    summary = summary_of(result, info)
    with fresh_folder(out) as folder:
        write_json(folder / "summary.json", summary)
        write_json(folder / "run.json", run)
        write_json(folder / "scenario.json", scenario)
        (folder / "metrics").mkdir()
        for name, table in tables_of(result).items():
            write_table(folder / "metrics" / f"{name}.parquet", table)
        for write in writers:
            write(folder)
    return summary


def check_out(out: Path) -> None:
    """Raise `OutputError` unless a result may be written to `out`: nothing there, an empty folder, or a result.

    Commands call it before a long run, so that a mistake costs no simulation.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise OutputError(str(out), "", None, "is not a folder", "name another folder with --out")
    if any(out.iterdir()) and not _is_result(out / "summary.json"):
        raise OutputError(
            str(out),
            "",
            None,
            "holds files but no summary.json of an earlier result, so nothing there is overwritten",
            "name another folder with --out, or empty this one",
        )


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well, and is gone when it does not.

    Raises `OutputError` in place of an `OSError`, with the remedy.
    """
    check_out(out)
    place = out.resolve()
    partial = place.with_name(f".{place.name}.partial-{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a dead process that had the same number
        partial.mkdir(parents=True)
        yield partial
        _put_in_place(partial, place)
    except OSError as error:
        raise _explained(error, out) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, keys in their order, floats rounded as `rounded` does."""
    text = json.dumps(rounded(value), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet; the same table gives the same bytes."""
    buffer = io.BytesIO()  # written by Python, so that a full disk is an OSError like any other
    table.write_parquet(buffer, compression="zstd", compression_level=3, statistics=True, row_group_size=65_536)
    path.write_bytes(buffer.getvalue())


def rounded(value: Any) -> Any:
    """JSON data with every float rounded to `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def _put_in_place(partial: Path, place: Path) -> None:
    """Give the folder its name; what had the name before goes only after that."""
    if not place.exists():
        partial.rename(place)
        return
    old = place.with_name(f".{place.name}.old-{os.getpid()}")
    place.rename(old)
    try:
        partial.rename(place)
    except BaseException:
        old.rename(place)
        raise
    shutil.rmtree(old)


def _is_result(summary: Path) -> bool:
    """Whether the file is a summary of ours."""
    try:
        value = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and "format" in value and "scenario" in value


def _explained(error: OSError, out: Path) -> OutputError:
    """The error with what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        problem, remedy = "the disk is full", "free some space, or name a folder on another disk with --out"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        problem, remedy = "may not be written", "name another folder with --out, or change its permissions"
    else:
        where = f" ({error.filename})" if error.filename else ""
        problem = f"can't be written: {error.strerror or error}{where}"
        remedy = "name another folder with --out"
    return OutputError(str(out), "", None, f"{problem}; nothing was left behind", remedy)


def _ratio(numerator: int, denominator: int) -> float | None:
    """The quotient, correctly rounded; None when there is nothing to divide by."""
    return numerator / denominator if denominator else None


def _seconds(units: int | Fraction | None, units_per_second: int) -> float | None:
    return None if units is None else float(Fraction(units) / units_per_second)


def _taken(result: RunResult, name: str) -> int:
    """How often a trigger of this count happened in the whole run."""
    return sum(count for edge, count in result.edges.items() if edge.trigger in COUNTED[name])


def _latency(by_class: Mapping[str, Histogram], units: int) -> dict[str, Any]:
    return {
        **_spread(by_class[ALL_CLASSES], units),
        "by_class": {name: _spread(histogram, units) for name, histogram in by_class.items() if name != ALL_CLASSES},
    }


def _spread(histogram: Histogram, units: int) -> dict[str, Any]:
    quantiles = histogram.quantiles(tuple(_QUANTILES.values()))
    return {
        "count": histogram.count,
        "mean": _seconds(histogram.mean(), units),
        **{name: _seconds(value, units) for name, value in zip(_QUANTILES, quantiles, strict=True)},
        "max": _seconds(histogram.max, units),
    }


def _pools(result: RunResult) -> dict[str, dict[str, Any]]:
    pools: dict[str, dict[str, Any]] = {}
    for pool in result.pools:
        workers = [worker for worker in result.workers if worker.pool == pool.name]
        busy, present = sum(worker.busy for worker in workers), sum(worker.present for worker in workers)
        pools[pool.name] = {
            "count": pool.count,
            "utilisation": _ratio(busy, present),
            "busy_seconds": _ratio(busy, result.units_per_second),
            "present_seconds": _ratio(present, result.units_per_second),
            **{name: sum(worker.outcomes[outcome] for worker in workers) for name, outcome in _OUTCOME_COLUMNS.items()},
        }
    return pools


def _timeline(result: RunResult) -> pl.DataFrame:
    timeline, units = result.timeline, result.units_per_second
    widths = [bucket.ends_at - bucket.begins_at for bucket in timeline.buckets]

    def mean(areas: Sequence[int]) -> pl.Series:
        return _floats([_ratio(area, width) for area, width in zip(areas, widths, strict=True)])

    columns: dict[str, pl.Series] = {
        "start_seconds": _floats([bucket.begins_at / units for bucket in timeline.buckets]),
        "width_seconds": _floats([width / units for width in widths]),
    }
    columns |= {name: pl.Series(timeline.counts[name], dtype=pl.Int64) for name in _TIMELINE_COUNTS}
    columns |= {f"{state}_mean": mean(timeline.jobs[state]) for state in LIVE_STATES}
    columns["busy_mean"] = mean(timeline.busy)
    columns["workers"] = mean(timeline.present)
    for name, rows in (("wait", timeline.wait), ("total", timeline.total)):
        columns |= _bucket_latency(name, rows, len(widths), units)
    return pl.DataFrame(columns)


def _bucket_latency(name: str, rows: HistogramRows, buckets: int, units: int) -> dict[str, pl.Series]:
    quantiles = [rows.quantiles(row, [_QUANTILES[q] for q in _BUCKET_QUANTILES]) for row in range(buckets)]
    columns = {
        f"{name}_count": pl.Series([rows.count(row) for row in range(buckets)], dtype=pl.Int64),
        f"{name}_mean": _floats([_seconds(rows.mean(row), units) for row in range(buckets)]),
    }
    for index, q in enumerate(_BUCKET_QUANTILES):
        columns[f"{name}_{q}"] = _floats([_seconds(row[index], units) for row in quantiles])
    return columns


def _latency_table(result: RunResult) -> pl.DataFrame:
    rows: list[tuple[str, str, float, float | None, int]] = []
    for measure, by_class in (("wait", result.wait), ("total", result.total)):
        for name, histogram in by_class.items():
            grid = percentile_grid(histogram.count)
            values = histogram.quantiles(grid)
            rows += [
                (measure, name, float(100 * q), _seconds(value, result.units_per_second), histogram.count)
                for q, value in zip(grid, values, strict=True)
            ]
    schema = {
        "measure": pl.String,
        "class": pl.String,
        "percentile": pl.Float64,
        "seconds": pl.Float64,
        "count": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def percentile_grid(count: int) -> list[Fraction]:
    """The quantiles of a latency curve: even in each nine, as far as `count` values reach, and the maximum."""
    if not count:
        return []
    grid = []
    for nine in range(_NINES):
        span = Fraction(9, 10 ** (nine + 1))
        start = 1 - Fraction(1, 10**nine)
        grid += [start + span * step / _STEPS_PER_NINE for step in range(_STEPS_PER_NINE)]
    grid.append(1 - Fraction(1, 10**_NINES))
    return [q for q in grid if (1 - q) * count >= 1] + [Fraction(1)]


def _workers_table(result: RunResult) -> pl.DataFrame:
    units, workers = result.units_per_second, result.workers
    return pl.DataFrame(
        {
            "pool": pl.Series([worker.pool for worker in workers], dtype=pl.String),
            "worker": pl.Series([worker.worker for worker in workers], dtype=pl.Int64),
            "busy_seconds": _floats([worker.busy / units for worker in workers]),
            "present_seconds": _floats([worker.present / units for worker in workers]),
            "utilisation": _floats([_ratio(worker.busy, worker.present) for worker in workers]),
            **{
                name: pl.Series([worker.outcomes[outcome] for worker in workers], dtype=pl.Int64)
                for name, outcome in _OUTCOME_COLUMNS.items()
            },
        }
    )


def _edges_table(result: RunResult) -> pl.DataFrame:
    rows = [(str(edge.source), str(edge.trigger), str(edge.target), count) for edge, count in result.edges.items()]
    schema = {"source": pl.String, "trigger": pl.String, "target": pl.String, "count": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _edge_pairs_table(result: RunResult) -> pl.DataFrame:
    pairs = result.watched.edge_pairs if result.watched else {}
    rows = [
        (str(first.source), str(first.trigger), str(second.source), str(second.trigger), str(second.target), count)
        for (first, second), count in pairs.items()
    ]
    names = ("first_source", "first_trigger", "state", "second_trigger", "second_target")
    return pl.DataFrame(rows, schema={**dict.fromkeys(names, pl.String), "count": pl.Int64}, orient="row")


def _floats(values: Sequence[float | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)
