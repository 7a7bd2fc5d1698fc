"""Reads the folder that a simulation wrote, for everything that shows results: plots, the report, comparisons.

Nothing here computes a result: the numbers are those of `summary.json` and of the Parquet files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from sim.input_errors import InputError

FloatArray = npt.NDArray[np.float64]

SUMMARY_FORMAT: Final = 1
"""The version of `summary.json` that this module reads."""

_SUMMARY_KEYS: Final = (
    "scenario",
    "description",
    "seed",
    "interrupted",
    "simulated_seconds",
    "warmup_seconds",
    "jobs",
    "throughput_per_second",
    "wait_seconds",
    "total_seconds",
    "utilisation",
    "workers",
    "counts",
    "transitions",
    "checks",
    "notes",
)

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "timeline": (
        *("start_seconds", "width_seconds", "puts", "deletes"),
        *("ready_mean", "delayed_mean", "reserved_mean", "buried_mean", "busy_mean", "workers"),
        *("wait_count", "wait_p50", "wait_p90", "wait_p99"),
        *("total_count", "total_p50", "total_p90", "total_p99"),
    ),
    "latency": ("measure", "class", "percentile", "seconds", "count"),
    "workers": ("pool", "worker", "utilisation"),
    "edges": ("source", "trigger", "target", "count"),
}


class ResultFolderError(InputError):
    """A folder does not hold the results of a simulation."""

    def __init__(self, file: Path, problem: str, *, field: str = "", value: str | None = None) -> None:
        folder = file.parent.parent if file.parent.name == "metrics" else file.parent
        super().__init__(str(file), field, value, problem, f"write it anew with `jsm simulate --out {folder}`")


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """What a simulation wrote, read into memory. The columns are those that the metrics document."""

    path: Path
    summary: Mapping[str, Any]
    run: Mapping[str, Any]  # empty when there is no run.json
    timeline: pl.DataFrame
    latency: pl.DataFrame
    workers: pl.DataFrame
    edges: pl.DataFrame


def read_result_folder(folder: Path) -> ResultFolder:
    """Reads a result folder.

    Raises `ResultFolderError` when a file is missing, can't be read, has another format version, or lacks a key or
    a column.
    """
    summary = _json(folder / "summary.json")
    found = summary.get("format")
    if found != SUMMARY_FORMAT:
        raise ResultFolderError(
            folder / "summary.json", f"expected {SUMMARY_FORMAT}", field="format", value=json.dumps(found)
        )
    for key in _SUMMARY_KEYS:
        if key not in summary:
            raise ResultFolderError(folder / "summary.json", "the key is missing", field=key)
    run_file = folder / "run.json"
    return ResultFolder(
        path=folder,
        summary=summary,
        run=_json(run_file) if run_file.exists() else {},
        timeline=_frame(folder, "timeline"),
        latency=_frame(folder, "latency"),
        workers=_frame(folder, "workers"),
        edges=_frame(folder, "edges"),
    )


def column(frame: pl.DataFrame, name: str) -> FloatArray:
    """A column as floats; null becomes NaN."""
    return np.asarray(frame[name].cast(pl.Float64).to_numpy(), dtype=np.float64)


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultFolderError(file, "the file is missing") from None
    except (OSError, ValueError) as error:
        raise ResultFolderError(file, f"can't be read ({error})") from error
    if not isinstance(value, dict):
        raise ResultFolderError(file, f"holds {type(value).__name__}, expected an object")
    return value


def _frame(folder: Path, name: str) -> pl.DataFrame:
    file = folder / "metrics" / f"{name}.parquet"
    try:
        frame = pl.read_parquet(file)
    except FileNotFoundError:
        raise ResultFolderError(file, "the file is missing") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ResultFolderError(file, f"can't be read ({error})") from error
    for needed in _COLUMNS[name]:
        if needed not in frame.columns:
            raise ResultFolderError(file, "the column is missing", field=needed)
    return frame
