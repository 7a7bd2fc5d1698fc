"""The figures of flow: jobs put and deleted, jobs by state, workers at work, and the week's rhythm."""

from typing import Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullFormatter

from sim import plot_style as style
from sim.plot_series import Steps, bucket_edges, fold_week, resample, steps_for
from sim.result_folder import FloatArray, ResultFolder, column

WORKER_BARS_MAX: Final = 64
"""More workers than this are a curve, not bars."""

_BURST: Final = 5  # puts that are so many times the deletes' peak are cut off
_WEEK_HOURS: Final = 168
_WEEKDAYS: Final = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def draw_throughput(figure: Figure, results: ResultFolder) -> None:
    timeline = results.timeline
    steps = steps_for(timeline, "puts")
    puts, deletes = (resample(timeline, name, steps_max=steps) for name in ("puts", "deletes"))
    if not puts.values.size:
        style.say_nothing_to_show(figure, "The run has no simulated time: there is no throughput to show.")
        return
    axes = figure.subplots()
    top, seconds, unit = _throughput_scale(puts.values, deletes.values)
    axes.stairs(puts.values * seconds, puts.edges, fill=True, color=style.LIGHT_BLUE)
    axes.stairs(puts.values * seconds, puts.edges, color=style.BLUE, linewidth=0.8, baseline=None)
    axes.stairs(
        deletes.values * seconds, deletes.edges, color=style.BLACK, linewidth=1.2, linestyle="--", baseline=None
    )
    style.count_axis(axes, f"jobs per {unit}", top * seconds)
    _name_cut_steps(axes, puts, top, seconds, unit)
    style.key_row(
        axes,
        [
            Patch(facecolor=style.LIGHT_BLUE, edgecolor=style.BLUE, label="put"),
            Line2D(
                [], [], color=style.BLACK, linestyle="--", label="deleted" if deletes.values.any() else "deleted (none)"
            ),
        ],
    )
    style.run_time_axis(axes, results)


def _throughput_scale(puts: FloatArray, deletes: FloatArray) -> tuple[float, float, str]:
    """(top of the axis per second, seconds of the unit, its name).

    A short burst of puts that dwarfs all deletes is cut off, or the deletes would lie on the axis.
    """
    top, most_deleted = float(max(puts.max(), deletes.max())), float(deletes.max())
    if most_deleted > 0 and top > _BURST * most_deleted and np.mean(puts > 2 * most_deleted) <= 0.1:
        top = 2 * most_deleted
    return top, *style.rate_unit(top)


def _name_cut_steps(axes: Axes, puts: Steps, top: float, seconds: float, unit: str) -> None:
    """Says at the axis' top how high the highest step that is cut off reaches."""
    highest = int(puts.values.argmax())
    if puts.values[highest] <= top:
        return
    left_half = puts.edges[highest] < puts.edges[-1] / 2
    axes.annotate(
        f"↑ up to {style.format_number(float(puts.values[highest]) * seconds)} put per {unit}",
        (float(puts.edges[highest + 1 if left_half else highest]), 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4 if left_half else -4, -3),
        textcoords="offset points",
        ha="left" if left_half else "right",
        va="top",
        fontsize=style.SMALL_POINTS,
    )


# From the bottom of the stack up; lightness falls and rises so that neighbours differ in grey, hatches help.
_STATE_LOOKS: Final = (
    ("reserved", style.BLUE, ""),
    ("ready", style.SKY_BLUE, ""),
    ("delayed", style.YELLOW, "///"),
    ("buried", style.VERMILION, r"\\\\"),
)


def draw_queue_depth(figure: Figure, results: ResultFolder) -> None:
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
    style.run_time_axis(axes, results)


def draw_utilisation(figure: Figure, results: ResultFolder) -> None:
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
    style.run_time_axis(over_time, results)
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
        axes.xaxis.set_major_formatter(FuncFormatter(lambda _, i: style.shortened(names[i])))
        axes.tick_params(axis="x", labelrotation=90)
        figure = axes.get_figure(root=True)
        assert figure is not None  # the axes were made in one
        figure.set_figheight(figure.get_figheight() + 1.3)
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


def draw_typical_week(figure: Figure, results: ResultFolder) -> None:
    axes = figure.subplots()
    starts_at = style.starts_at(results)
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


def has_typical_week(results: ResultFolder) -> bool:
    edges = bucket_edges(results.timeline)
    return float(edges[-1]) >= 2 * style.WEEK and float(np.diff(edges).max()) <= 12 * style.HOUR
