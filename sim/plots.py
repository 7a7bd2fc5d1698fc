"""The figures of a run, drawn from its result folder and written into it as PNG and SVG.

`PLOTS` is the one list of figures: its order is that of the report, and its captions say how to read each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullFormatter

from jsm.states import JobState, Trigger
from jsm.transitions import Transition
from sim import plot_style as style
from sim.plot_series import bucket_edges, fold_week, resample, resample_percentile
from sim.result_folder import FloatArray, ResultFolder, column, read_result_folder

StateDiagram = Callable[[Figure, Mapping[Transition, int]], None]
"""Draws the state diagram onto an empty figure, with the count of each edge; an edge left out happened 0 times."""

STATE_DIAGRAM: Final = "state_diagram"
"""The name of the figure that the caller's function draws."""

WORKER_BARS_MAX: Final = 64
CLASSES_MAX: Final = len(style.LINES)
_MEASURES: Final = ("wait", "total")
_WEEK_HOURS: Final = 168
_WEEKDAYS: Final = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure of the report: its file name without suffix, what it shows, and how to read it, in one sentence."""

    name: str
    title: str
    caption: str
    height_inches: float


def draw_plots(folder: Path, *, draw_state_diagram: StateDiagram) -> list[Path]:
    """Writes every figure that the run has data for into `folder`/plots and returns the paths, PNG before SVG.

    Equal results give equal bytes. Raises `ResultFolderError` when the folder lacks a file, a key or a column.
    """
    results = read_result_folder(folder)
    target = folder / "plots"
    target.mkdir(exist_ok=True)
    draws = dict(_DRAWS)
    if not _has_typical_week(results):
        del draws["typical_week"]
    written: list[Path] = []
    with style.house_style():
        for plot in PLOTS:
            figure = style.new_figure(plot.title, height_inches=plot.height_inches)
            if plot.name == STATE_DIAGRAM:
                draw_state_diagram(figure, edge_counts(results.edges))
            elif plot.name in draws:
                draws[plot.name](figure, results)
            else:
                continue
            written += style.save_figure(figure, target, plot.name)
    return written


def edge_counts(edges: pl.DataFrame) -> dict[Transition, int]:
    """How often each edge was taken, from `metrics/edges.parquet`."""
    return {
        Transition(JobState(source), Trigger(trigger), JobState(target)): int(count)
        for source, trigger, target, count in edges.select("source", "trigger", "target", "count").iter_rows()
    }


def class_names(results: ResultFolder) -> list[str]:
    """The classes that a figure tells apart, those with the most jobs first; none when there is only one."""
    counts = (
        results.latency.filter((pl.col("class") != "") & (pl.col("measure") == "wait"))
        .group_by("class")
        .agg(pl.col("count").max())
        .sort(["count", "class"], descending=[True, False])
    )
    names = [str(name) for name in counts["class"].to_list()]
    return names if len(names) > 1 else []


def _throughput(figure: Figure, results: ResultFolder) -> None:
    puts, deletes = (resample(results.timeline, name) for name in ("puts", "deletes"))
    if not puts.values.size:
        style.say_nothing_to_show(figure, "The run has no simulated time: there is no throughput to show.")
        return
    axes = figure.subplots()
    top = float(max(puts.values.max(), deletes.values.max()))
    seconds, unit = style.rate_unit(top)
    axes.stairs(puts.values * seconds, puts.edges, fill=True, color=style.LIGHT_BLUE)
    axes.stairs(puts.values * seconds, puts.edges, color=style.BLUE, linewidth=0.8, baseline=None)
    axes.stairs(
        deletes.values * seconds, deletes.edges, color=style.BLACK, linewidth=1.2, linestyle="--", baseline=None
    )
    style.count_axis(axes, f"jobs per {unit}", top * seconds)
    style.key_row(
        axes,
        [
            Patch(facecolor=style.LIGHT_BLUE, edgecolor=style.BLUE, label="put"),
            Line2D(
                [], [], color=style.BLACK, linestyle="--", label="deleted" if deletes.values.any() else "deleted (none)"
            ),
        ],
    )
    _finish_time(axes, results)


# From the bottom of the stack up; lightness falls and rises so that neighbours differ in grey, hatches help.
_STATE_LOOKS: Final = (
    ("reserved", style.BLUE, ""),
    ("ready", style.SKY_BLUE, ""),
    ("delayed", style.YELLOW, "///"),
    ("buried", style.VERMILION, r"\\\\"),
)


def _queue_depth(figure: Figure, results: ResultFolder) -> None:
    levels = {name: resample(results.timeline, f"{name}_mean") for name, _, _ in _STATE_LOOKS}
    base = np.zeros_like(levels["ready"].values)
    if not base.size:
        style.say_nothing_to_show(figure, "The run has no simulated time: there is no queue to show.")
        return
    axes = figure.subplots()
    handles = []
    for name, colour, hatch in _STATE_LOOKS:
        top = base + levels[name].values
        if levels[name].values.any():
            axes.stairs(
                top,
                levels[name].edges,
                baseline=base,
                fill=True,
                facecolor=colour,
                hatch=hatch,
                edgecolor=style.BLACK,
                linewidth=0,
            )
            axes.stairs(top, levels[name].edges, baseline=None, color=style.BLACK, linewidth=0.35)
            handles.append(Patch(label=name, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, linewidth=0.5))
        base = top
    style.count_axis(axes, "jobs in the machine", float(base.max()))
    if handles:
        style.key_row(axes, handles)
    _finish_time(axes, results)


def _latency_percentiles(figure: Figure, results: ResultFolder) -> None:
    classes = class_names(results)
    curves = {
        (measure, name): _curve(results.latency, measure, name) for measure in _MEASURES for name in ("", *classes)
    }
    measures = [measure for measure in _MEASURES if curves[measure, ""][0].size]
    if not measures:
        style.say_nothing_to_show(figure, "No job was reserved: there is no latency to show.")
        return
    highest = max(float(curves[measure, ""][0].max()) for measure in measures)
    if not classes:
        axes = figure.subplots()
        style.percentile_axis(axes, highest)
        style.duration_axis(axes, np.concatenate([curves[m, ""][1] for m in measures]), quantity="time")
        _draw_curves(axes, [(measure, *curves[measure, ""]) for measure in measures], axes_inches=2.3)
        return
    figure.set_figheight(4.2)
    for axes, measure in zip(figure.subplots(len(measures), 1, squeeze=False)[:, 0], measures, strict=True):
        shown = [(name, *curves[measure, name]) for name in classes[:CLASSES_MAX] if curves[measure, name][0].size]
        style.percentile_axis(axes, highest)
        style.duration_axis(axes, np.concatenate([seconds for _, _, seconds in shown]), quantity=measure)
        _draw_curves(axes, shown, axes_inches=1.5)
        if measure != measures[-1]:
            axes.set_xlabel("")
    if len(classes) > CLASSES_MAX:
        figure.axes[0].set_title(f"the {CLASSES_MAX} classes with the most jobs, of {len(classes)}", loc="left")


def _draw_curves(axes: Axes, curves: list[tuple[str, FloatArray, FloatArray]], *, axes_inches: float) -> None:
    ends = []
    for (name, percentiles, seconds), (colour, dashes) in zip(curves, style.LINES, strict=False):
        axes.plot(style.percentile_x(percentiles), seconds, color=colour, linestyle=dashes, drawstyle="default")
        ends.append((float(seconds[-1]), _shortened(name), colour))
    style.label_ends(axes, ends, axes_inches=axes_inches)


def _curve(latency: pl.DataFrame, measure: str, name: str) -> tuple[FloatArray, FloatArray]:
    rows = latency.filter(
        (pl.col("measure") == measure) & (pl.col("class") == name) & (pl.col("percentile") < 100)
    ).sort("percentile")
    return column(rows, "percentile"), column(rows, "seconds")


def _latency_over_time(figure: Figure, results: ResultFolder) -> None:
    timeline = results.timeline
    measures = [measure for measure in _MEASURES if column(timeline, f"{measure}_count").sum() > 0]
    if not measures:
        style.say_nothing_to_show(figure, "No job was reserved: there is no latency to show.")
        return
    bands = {
        (measure, name): resample_percentile(timeline, f"{measure}_{name}", count=f"{measure}_count")
        for measure in measures
        for name in ("p50", "p90", "p99")
    }
    everything = np.concatenate([band.values for band in bands.values()])
    all_axes = figure.subplots(len(measures), 1, squeeze=False)[:, 0]
    for axes, measure in zip(all_axes, measures, strict=True):
        p50, p90, p99 = (bands[measure, name] for name in ("p50", "p90", "p99"))
        style.duration_axis(axes, everything, quantity=measure)  # one scale for both, so that they compare
        axes.stairs(p99.values, p99.edges, baseline=p90.values, fill=True, color=style.LIGHT_BLUE, linewidth=0)
        axes.stairs(p90.values, p90.edges, baseline=p50.values, fill=True, color=style.SKY_BLUE, linewidth=0)
        axes.stairs(p99.values, p99.edges, baseline=None, color=style.BLUE, linewidth=0.5)
        axes.stairs(p50.values, p50.edges, baseline=None, color=style.BLACK, linewidth=1.2)
        _finish_time(axes, results)
        if measure != measures[-1]:
            axes.set_xlabel("")
    style.key_row(
        all_axes[0],
        [
            Line2D([], [], color=style.BLACK, label="p50"),
            Patch(facecolor=style.SKY_BLUE, label="p50 to p90"),
            Patch(facecolor=style.LIGHT_BLUE, edgecolor=style.BLUE, linewidth=0.5, label="p90 to p99"),
        ],
    )


def _utilisation(figure: Figure, results: ResultFolder) -> None:
    busy, present = (resample(results.timeline, name) for name in ("busy_mean", "workers"))
    if not busy.values.size or not results.workers.height:
        style.say_nothing_to_show(figure, "No worker took part: there is no utilisation to show.")
        return
    over_time, by_worker = figure.subplots(2, 1)
    over_time.stairs(busy.values, busy.edges, fill=True, color=style.SKY_BLUE)
    over_time.stairs(present.values, present.edges, color=style.BLACK, linestyle="--", baseline=None)
    style.count_axis(over_time, "workers", float(max(present.values.max(), busy.values.max())))
    over_time.yaxis.set_major_locator(style.whole_numbers())
    style.key_row(
        over_time,
        [
            Patch(facecolor=style.SKY_BLUE, label="working"),
            Line2D([], [], color=style.BLACK, linestyle="--", label="present"),
        ],
    )
    _finish_time(over_time, results)
    workers = results.workers.sort(["pool", "worker"], maintain_order=True)
    if workers.height <= WORKER_BARS_MAX:
        _worker_bars(by_worker, workers)
    else:
        _worker_curve(by_worker, workers)
    by_worker.set_ylim(0, 100)
    by_worker.yaxis.set_major_locator(MultipleLocator(25))
    by_worker.set_ylabel("time working (%)")


def _worker_bars(axes: Axes, workers: pl.DataFrame) -> None:
    pools = workers["pool"].to_list()
    changes = [i for i in range(1, len(pools)) if pools[i] != pools[i - 1]]
    firsts, afters = [0, *changes], [*changes, len(pools)]
    places = np.arange(len(pools)) + np.searchsorted(changes, np.arange(len(pools)), side="right")
    heights = np.nan_to_num(column(workers, "utilisation")) * 100
    width = min(0.8, 0.06 * float(places[-1] + 1.4))  # at most a quarter of an inch
    axes.bar(places, heights, width=width, color=style.SKY_BLUE, edgecolor=style.BLUE, linewidth=0.5)
    axes.set_xlim(-0.7, float(places[-1]) + 0.7)
    names = [str(pools[i]) for i in firsts]
    centres = [(float(places[i]) + float(places[j - 1])) / 2 for i, j in zip(firsts, afters, strict=True)]
    axes.xaxis.set_major_locator(FixedLocator(centres))
    slots = [4.3 * (j - i + 1) / float(places[-1] + 2) for i, j in zip(firsts, afters, strict=True)]
    if all(0.085 * len(name) < slot for name, slot in zip(names, slots, strict=True)):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda _, i: names[i]))
        axes.set_xlabel(
            f"each bar a worker ({len(pools)}), by pool" if len(names) > 1 else f"each bar a worker ({len(pools)})"
        )
    elif min(slots) > 0.17:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda _, i: _shortened(names[i])))
        axes.tick_params(axis="x", labelrotation=90)
        axes.set_xlabel("pool; each bar a worker")
    else:
        axes.xaxis.set_major_formatter(NullFormatter())
        axes.set_xlabel(f"each bar a worker ({len(pools)}), {len(names)} pools in the order of their names")


def _worker_curve(axes: Axes, workers: pl.DataFrame) -> None:
    shares = np.sort(np.nan_to_num(column(workers, "utilisation")))[::-1] * 100
    axes.stairs(shares, np.arange(shares.size + 1), fill=True, color=style.SKY_BLUE)
    axes.stairs(shares, np.arange(shares.size + 1), color=style.BLUE, linewidth=0.8, baseline=None)
    axes.set_xlim(0, shares.size)
    axes.set_xlabel(f"the {shares.size:,} workers, from the busiest to the idlest")


def _typical_week(figure: Figure, results: ResultFolder) -> None:
    axes = figure.subplots()
    starts_at = _starts_at(results)
    first_hour = 0.0 if starts_at is None else starts_at.weekday() * 24 + starts_at.hour + starts_at.minute / 60
    week = fold_week(results.timeline, "puts", first_hour=first_hour)
    top = float(week.values.max()) * style.HOUR
    axes.stairs(week.values * style.HOUR, week.edges / style.HOUR, fill=True, color=style.LIGHT_BLUE)
    axes.stairs(week.values * style.HOUR, week.edges / style.HOUR, color=style.BLUE, linewidth=1.0, baseline=None)
    style.count_axis(axes, "jobs put per hour", top)
    axes.set_xlim(0, _WEEK_HOURS)
    for day in range(1, 7):
        axes.axvline(24 * day, color=style.WEEK_GREY, linewidth=0.6, zorder=0.5)
    names = [f"day {day}" for day in range(1, 8)] if starts_at is None else _WEEKDAYS
    axes.xaxis.set_major_locator(FixedLocator([24 * day + 12 for day in range(7)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda _, i: names[i]))
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("hour of the week, counted from the start" if starts_at is None else "hour of the week")


def _has_typical_week(results: ResultFolder) -> bool:
    edges = bucket_edges(results.timeline)
    return float(edges[-1]) >= 2 * style.WEEK and float(np.diff(edges).max()) <= 12 * style.HOUR


def _finish_time(axes: Axes, results: ResultFolder) -> None:
    style.time_axis(
        axes,
        float(bucket_edges(results.timeline)[-1]),
        warmup_seconds=float(results.summary["warmup_seconds"]),
        starts_at=_starts_at(results),
    )


def _starts_at(results: ResultFolder) -> datetime | None:
    """When the run's second 0 was on the wall clock of a replayed log, if the log says so."""
    text = results.summary.get("starts_at")
    return None if text is None else datetime.fromisoformat(text)


def _shortened(text: str) -> str:
    return text if len(text) <= 14 else f"{text[:13]}…"


PLOTS: Final[tuple[Plot, ...]] = (
    Plot(
        "throughput",
        "Throughput: jobs put and deleted over time",
        "Where the dashed line (deleted) stays below the filled area (put), a backlog grows; where it is above, the "
        "backlog shrinks.",
        3.0,
    ),
    Plot(
        "queue_depth",
        "Queue depth: jobs in the machine by state",
        "The height of each layer is the mean number of jobs in that state, and the top of the stack all jobs in the "
        "machine.",
        3.0,
    ),
    Plot(
        "latency_percentiles",
        "Latency: how slow the slowest jobs are",
        "Read up from a percentile: at 99, one job in a hundred took longer than the curve says; each step to the "
        "right (90, 99, 99.9) looks at ten times rarer jobs.",
        3.2,
    ),
    Plot(
        "latency_over_time",
        "Latency over time",
        "The black line is the median, the dark band reaches up to the 90th percentile and the light band to the 99th, "
        "by the time of the first reserve (wait) or of the delete (total); gaps are times without such a job.",
        4.2,
    ),
    Plot(
        "utilisation",
        "Worker utilisation: who worked, and when",
        "Above, the filled part of the space under the dashed line is the share of the workers that worked; below, "
        "uneven bars mean that some workers got more to do than others.",
        4.2,
    ),
    Plot(
        "typical_week",
        "A typical week: when jobs are put",
        "All weeks laid over each other: each step is the mean rate of puts in that part of the week.",
        2.8,
    ),
    Plot(
        STATE_DIAGRAM,
        "State diagram: how often each transition happened",
        "Each arrow is a transition that the state machine allows, with its trigger and how often a job took it.",
        6.2,
    ),
)
"""All figures, in the report's order."""

_DRAWS: Final[Mapping[str, Callable[[Figure, ResultFolder], None]]] = {
    "throughput": _throughput,
    "queue_depth": _queue_depth,
    "latency_percentiles": _latency_percentiles,
    "latency_over_time": _latency_over_time,
    "utilisation": _utilisation,
    "typical_week": _typical_week,
}
