"""Series for figures out of the timeline's buckets: resampled to round steps, by bucket, folded to a week.

Where a step's edge lies inside a bucket, the bucket's count is split in proportion to time; sums are kept.
"""

from typing import Final, NamedTuple

import numpy as np
import polars as pl

from sim.result_folder import FloatArray, column

STEPS_MAX: Final = 150
"""A figure of 5 inches shows no more steps than this without becoming a smear."""

_STEPS_MIN: Final = 20
_JOBS_PER_STEP: Final = 5

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86400.0
_WEEK: Final = 7 * _DAY

_STEP_WIDTHS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 7, 14, 28, 91, 364)),
)
_LEVELS: Final = ("ready_mean", "delayed_mean", "reserved_mean", "buried_mean", "busy_mean", "workers")
_ROUNDING: Final = 1e-6  # fewer jobs than this in a step are a rounding error of the sums


class Steps(NamedTuple):
    """A step function: `values[i]` from `edges[i]` to `edges[i + 1]`, in seconds."""

    edges: FloatArray
    values: FloatArray


def steps_for(timeline: pl.DataFrame, count: str) -> int:
    """So many steps that the mean one has several jobs: fewer would draw single jobs, not a rate."""
    return max(_STEPS_MIN, min(STEPS_MAX, int(column(timeline, count).sum()) // _JOBS_PER_STEP))


def resample(timeline: pl.DataFrame, name: str, *, steps_max: int = STEPS_MAX) -> Steps:
    """A column as a step function of about `steps_max` steps at most, of a round width.

    Counts become rates per second; means stay means over time.
    """
    edges = _step_edges(timeline, steps_max)
    return Steps(edges, _sums(timeline, name, edges) / np.diff(edges))


def resample_percentile(timeline: pl.DataFrame, name: str, *, count: str, steps_max: int = STEPS_MAX) -> Steps:
    """A column of percentiles by bucket as a step function like `resample`'s; NaN where no job was counted.

    A step made of several buckets has the mean of their percentiles, weighted by their jobs.
    """
    edges = _step_edges(timeline, steps_max)
    known = timeline.with_columns(
        pl.when(pl.col(name).is_not_null()).then(pl.col(count)).otherwise(0).alias("_jobs"),
    ).with_columns((pl.col(name) * pl.col("_jobs")).alias("_weighted"))
    jobs, weighted = _sums(known, "_jobs", edges), _sums(known, "_weighted", edges)
    percentiles = np.full(jobs.size, np.nan)
    np.divide(weighted, jobs, out=percentiles, where=jobs > _ROUNDING)
    return Steps(edges, percentiles)


def fold_week(timeline: pl.DataFrame, name: str, *, first_hour: float) -> Steps:
    """The mean rate per second of a count by part of the week; second 0 of the run is `first_hour` of the week.

    A part is an hour, or more when the buckets are wider than an hour. Only the time that the run covers counts.
    """
    edges = bucket_edges(timeline)
    widest = float(np.diff(edges).max())
    width = next(hours * _HOUR for hours in (1, 2, 3, 4, 6, 12) if hours * _HOUR >= min(widest / 2, 12 * _HOUR))
    offset = first_hour * _HOUR
    lines = np.arange(np.floor(offset / width), np.ceil((offset + float(edges[-1])) / width) + 1) * width - offset
    cuts = np.clip(lines, 0.0, float(edges[-1]))
    counts = _sums(timeline, name, cuts)
    parts = round(_WEEK / width)
    place = (np.round((lines[:-1] + offset) / width).astype(np.int64)) % parts
    total = np.bincount(place, weights=counts, minlength=parts)
    covered = np.bincount(place, weights=np.diff(cuts), minlength=parts)
    rates = np.zeros(parts)
    np.divide(total, covered, out=rates, where=covered > 0)
    return Steps(np.arange(parts + 1, dtype=np.float64) * np.float64(width), rates)


def bucket_edges(timeline: pl.DataFrame) -> FloatArray:
    """The buckets' edges in seconds, one more than there are buckets; a single 0 when there is none."""
    starts, widths = column(timeline, "start_seconds"), column(timeline, "width_seconds")
    return np.append(starts, starts[-1:] + widths[-1:]) if starts.size else np.zeros(1)


def _step_edges(timeline: pl.DataFrame, steps_max: int) -> FloatArray:
    edges = bucket_edges(timeline)
    if edges.size <= steps_max + 1:
        return edges
    end = float(edges[-1])
    least = max(end / steps_max, 2 * float(np.diff(edges).max()))  # narrower steps would blur more than smooth
    width = next((width for width in _STEP_WIDTHS if width >= least), least)
    return np.append(np.arange(0.0, end - 0.25 * width, width), end)


def _sums(timeline: pl.DataFrame, name: str, cuts: FloatArray) -> FloatArray:
    """What the column adds up to between neighbouring cuts: counts, or levels times seconds."""
    values = np.nan_to_num(column(timeline, name))
    weights = column(timeline, "width_seconds") if name in _LEVELS else 1.0
    running = np.append(0.0, np.cumsum(values * weights))
    return np.asarray(np.diff(np.interp(cuts, bucket_edges(timeline), running)), dtype=np.float64)
