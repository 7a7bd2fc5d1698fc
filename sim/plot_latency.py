"""The figures of latency: percentile curves, and percentile bands over time."""

from typing import Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim import plot_style as style
from sim.plot_series import resample_percentile, steps_for
from sim.result_folder import FloatArray, ResultFolder, column

CLASSES_MAX: Final = len(style.LINES)
"""So many classes are told apart in one figure; of more, those with the most jobs."""

_MEASURES: Final = ("wait", "total")
_NO_LATENCY: Final = "No job was reserved: there is no latency to show."


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


def draw_latency_percentiles(figure: Figure, results: ResultFolder) -> None:
    classes = class_names(results)
    curves = {
        (measure, name): _curve(results.latency, measure, name) for measure in _MEASURES for name in ("", *classes)
    }
    measures = [measure for measure in _MEASURES if curves[measure, ""][0].size]
    if not measures:
        style.say_nothing_to_show(figure, _NO_LATENCY)
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
        axes.plot(style.percentile_x(percentiles), seconds, color=colour, linestyle=dashes, clip_on=False, zorder=3)
        ends.append((float(seconds[-1]), style.shortened(name), colour, dashes))
    style.label_ends(axes, ends, axes_inches=axes_inches)


def _curve(latency: pl.DataFrame, measure: str, name: str) -> tuple[FloatArray, FloatArray]:
    rows = latency.filter(
        (pl.col("measure") == measure) & (pl.col("class") == name) & (pl.col("percentile") < 100)
    ).sort("percentile")
    return column(rows, "percentile"), column(rows, "seconds")


def draw_latency_over_time(figure: Figure, results: ResultFolder) -> None:
    timeline = results.timeline
    measures = [measure for measure in _MEASURES if column(timeline, f"{measure}_count").sum() > 0]
    if not measures:
        style.say_nothing_to_show(figure, _NO_LATENCY)
        return
    bands = {
        (measure, name): resample_percentile(
            timeline,
            f"{measure}_{name}",
            count=f"{measure}_count",
            steps_max=steps_for(timeline, f"{measure}_count"),
        )
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
        # Level pieces only: where the median falls to 0, uprights would be all that is seen.
        axes.hlines(p50.values, p50.edges[:-1], p50.edges[1:], color=style.BLACK, linewidth=1.4, clip_on=False)
        if not np.nan_to_num(p99.values).any():
            axes.text(0.5, 0.5, f"0 at all times: no {measure} at all", ha="center", transform=axes.transAxes)
        style.run_time_axis(axes, results)
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
