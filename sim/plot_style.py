"""How every figure looks: palette, type, axes of time and durations, labels, and how a figure is written.

Colours are those of Okabe and Ito ("Color universal design", 2008), which people with any colour vision tell apart;
whatever a colour says, a line style, a hatch or a lightness says too, so that a figure survives a black and white
printer. Figures are 5.2 inches wide and no text is below 9 points at that width.

The bytes are a function of the numbers alone: no date, no random identifier, no setting of the user's own matplotlib.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, DrawingArea, HPacker, TextArea
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, MultipleLocator, NullFormatter, NullLocator

from sim.plot_series import bucket_edges
from sim.result_folder import FloatArray, ResultFolder

BLACK: Final = "#000000"
ORANGE: Final = "#E69F00"
SKY_BLUE: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
BLUE: Final = "#0072B2"
LIGHT_BLUE: Final = "#BFE0F7"  # a tint of sky blue, for areas under something
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"

LINES: Final[tuple[tuple[str, Any], ...]] = (
    (BLUE, "-"),
    (VERMILION, (0, (5, 1.5))),
    (GREEN, (0, (1, 1))),
    (PURPLE, (0, (6, 1.5, 1, 1.5))),
    (BLACK, (0, (3, 1, 1, 1, 1, 1))),
    (ORANGE, (0, (9, 2))),
)
"""Colour and line style of the first, second … line of a figure with several."""

GRID_GREY: Final = "#D9D9D9"
WEEK_GREY: Final = "#A6A6A6"
TEXT_GREY: Final = "#4D4D4D"

FIGURE_WIDTH_INCHES: Final = 5.2
SMALL_POINTS: Final = 9.0
_SAMPLE_POINTS: Final = 17.0
PNG_DOTS_PER_INCH: Final = 180

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
WEEK: Final = 7 * DAY

_STYLE: Final[dict[str, Any]] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so every machine draws the same glyphs
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": SMALL_POINTS,
    "ytick.labelsize": SMALL_POINTS,
    "legend.fontsize": SMALL_POINTS,
    "figure.titlesize": 10.5,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID_GREY,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "path.simplify": True,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",  # glyphs as outlines: the same picture on a machine without the font
    "svg.hashsalt": "jsm",  # identifiers in the file depend on its contents only
}

_TIME_UNITS: Final = (
    # name, seconds, used up to this range, tick steps in the unit
    ("s", 1.0, 180.0, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)),
    ("min", MINUTE, 3 * HOUR, (0.5, 1, 2, 5, 10, 15, 20, 30, 60)),
    ("h", HOUR, 3 * DAY, (0.5, 1, 2, 3, 4, 6, 12, 24)),
    ("d", DAY, math.inf, (1, 2, 7, 14, 28, 56, 91, 182, 364, 728, 1820, 3640)),
)
_TIME_WORDS: Final = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_TICKS_MAX: Final = 8

_LOG_TICKS: Final = (
    *((10.0**power, text) for power, text in ((-6, "1 µs"), (-5, "10 µs"), (-4, "100 µs"))),
    *((10.0**power, text) for power, text in ((-3, "1 ms"), (-2, "10 ms"), (-1, "100 ms"), (0, "1 s"), (1, "10 s"))),
    *((MINUTE, "1 min"), (10 * MINUTE, "10 min"), (HOUR, "1 h"), (6 * HOUR, "6 h")),
    *((DAY, "1 d"), (10 * DAY, "10 d"), (100 * DAY, "100 d")),
)
_LOG_FROM_RATIO: Final = 60.0
"""A duration axis is logarithmic when its largest value is this many times a low one."""
_NAME_LETTERS: Final = 20
_LOG_DECADES_MAX: Final = 6


@contextmanager
def house_style() -> Iterator[None]:
    """Figures drawn and written inside look like the project's, whatever the user's matplotlib settings say."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_figure(title: str, *, height_inches: float) -> Figure:
    """An empty figure with its title, flush left. It belongs to no window system and to no global state."""
    figure = Figure(figsize=(FIGURE_WIDTH_INCHES, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.012, ha="left")
    return figure


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes NAME.png and NAME.svg and returns their paths; equal figures give equal bytes."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    figure.savefig(png, format="png", dpi=PNG_DOTS_PER_INCH, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return [png, svg]


def time_axis(
    axes: Axes, end_seconds: float, *, warmup_seconds: float = 0.0, starts_at: datetime | None = None
) -> None:
    """Makes x a time axis from 0 to `end_seconds`, in seconds, minutes, hours or days, whichever reads best.

    Data stay in seconds. Beyond a week a vertical line marks every seventh day, so that the eye finds a week. The
    warm-up, which the numbers leave out, is marked on the axis.
    """
    end = end_seconds if end_seconds > 0 else 1.0
    name, unit, _, steps = next(choice for choice in _TIME_UNITS if end <= choice[2])
    step = next((step for step in steps if end / (step * unit) <= _TICKS_MAX), steps[-1])
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MultipleLocator(step * unit))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / unit:,.10g}"))
    origin = "since the start" if starts_at is None else f"since {starts_at:%a} {starts_at.day} {starts_at:%b %Y}"
    remark = ""
    if name == "d" and WEEK < end <= 40 * WEEK:
        for line in np.arange(WEEK, end, WEEK):
            axes.axvline(line, color=WEEK_GREY, linewidth=0.6, zorder=0.5)
        remark = "; a line every week"
    if 0 < warmup_seconds < end:
        axes.axvspan(0, warmup_seconds, facecolor="#E6E6E6", linewidth=0, zorder=0.4)
        axes.axvline(warmup_seconds, color=TEXT_GREY, linewidth=0.9, linestyle=(0, (2, 1.5)))
        remark += "; grey: warm-up"
    axes.set_xlabel(f"{_TIME_WORDS[name]} {origin}{remark}")


def run_time_axis(axes: Axes, results: ResultFolder) -> None:
    """Makes x the time axis of a run: all of it, its warm-up marked."""
    time_axis(
        axes,
        float(bucket_edges(results.timeline)[-1]),
        warmup_seconds=float(results.summary["warmup_seconds"]),
        starts_at=starts_at(results),
    )


def starts_at(results: ResultFolder) -> datetime | None:
    """When the run's second 0 was on the wall clock of a replayed log, if the summary says so."""
    text = results.summary.get("starts_at")
    return None if text is None else datetime.fromisoformat(text)


def duration_axis(axes: Axes, values: FloatArray, *, quantity: str) -> None:
    """Makes y an axis of durations for `values` (seconds): linear in a fitting unit, or logarithmic if they ask for it.

    A logarithmic axis keeps zero: below its smallest decade it is linear.
    """
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    top = float(positive.max()) if positive.size else 1.0
    low = float(np.quantile(positive, 0.1)) if positive.size else 1.0
    if top / low < _LOG_FROM_RATIO:
        word, unit = _duration_unit(top)
        axes.set_ylim(0, top * 1.06)
        axes.yaxis.set_major_locator(_linear_locator(top / unit, unit))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y / unit:,.10g}"))
        axes.set_ylabel(f"{quantity} ({word})")
        return
    floor = 10.0 ** math.floor(math.log10(max(float(positive.min()), top / 10.0**_LOG_DECADES_MAX, 1e-6)))
    reaches_zero = finite.size > 0 and float(finite.min()) < floor
    if reaches_zero:
        axes.set_yscale("symlog", linthresh=floor, linscale=0.5)
        axes.set_ylim(0, top * 1.6)
    else:
        axes.set_yscale("log")
        axes.set_ylim(max(floor, float(positive.min()) * 0.8), top * 1.6)
    ticks = [(at, text) for at, text in _LOG_TICKS if floor <= at <= axes.get_ylim()[1]]
    if reaches_zero:
        ticks = [(0.0, "0"), *ticks]
    axes.yaxis.set_major_locator(FixedLocator([at for at, _ in ticks]))
    texts = dict(ticks)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: texts.get(y, "")))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(f"{quantity} (log scale)")


def count_axis(axes: Axes, label: str, top: float) -> None:
    """Makes y a linear axis from 0 for counts and rates, with thousands separated."""
    axes.set_ylim(0, top * 1.06 if top > 0 else 1.0)
    axes.yaxis.set_major_locator(_round_ticks(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.10g}"))
    axes.set_ylabel(label)


def whole_numbers() -> MaxNLocator:
    """Ticks of a count of things: few, and never between two whole numbers."""
    return MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True)


def percentile_axis(axes: Axes, highest: float) -> None:
    """Makes x an axis of percentiles on which 90, 99, 99.9 … are equally far apart; data go through `percentile_x`."""
    ticks = [(0.0, "0"), (50.0, "50")]
    ticks += [(100 - 10.0**-power, f"{100 - 10.0**-power:.10g}") for power in range(-1, 4)]
    shown = [(p, text) for p, text in ticks if p <= highest or p <= 90]
    axes.set_xlim(0, float(percentile_x(np.array([max(highest, 90.0)]))[0]))
    axes.xaxis.set_major_locator(FixedLocator([float(percentile_x(np.array([p]))[0]) for p, _ in shown]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda _, position: shown[position][1]))
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("percentile of jobs (%, log scale towards 100)")


def percentile_x(percentiles: FloatArray) -> FloatArray:
    """Where a percentile below 100 stands on the axis: the number of nines, -log10(1 - p / 100)."""
    return np.asarray(-np.log10(1.0 - percentiles / 100.0), dtype=np.float64)


def rate_unit(per_second_max: float) -> tuple[float, str]:
    """(seconds, name) of the unit of time in which a rate reads as numbers not far below 1."""
    for seconds, name in ((1.0, "second"), (MINUTE, "minute"), (HOUR, "hour")):
        if per_second_max * seconds >= 1:
            return seconds, name
    return (DAY, "day") if per_second_max > 0 else (1.0, "second")


def format_number(number: float) -> str:
    """A number of three significant digits or more, with its thousands separated."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def shortened(name: str) -> str:
    """A name, cut in the middle so that it leaves room for the data; names often differ at their ends only."""
    if len(name) <= _NAME_LETTERS:
        return name
    head = _NAME_LETTERS // 2
    return f"{name[:head]}…{name[head + 1 - _NAME_LETTERS :]}"


def key_row(axes: Axes, handles: Sequence[Artist]) -> None:
    """A key in one row above the axes: for series that can't be labelled where they are drawn."""
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(handles),
        frameon=False,
        borderaxespad=0.1,
        borderpad=0.1,
        handlelength=2.0,
        columnspacing=1.4,
    )


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str, Any]], *, axes_inches: float) -> None:
    """Names lines right of the axes at the height of their ends, pushed apart where names would overlap.

    `ends` are (y, name, colour, line style); a sample of the line stands before its name, which is black, so that
    it reads in any colour and in none.
    """
    gap = 1.3 * SMALL_POINTS / 72.0 / axes_inches
    low, high = axes.transData.transform([(0, y) for y in axes.get_ylim()])[:, 1]
    pixels = [float(axes.transData.transform((0, y))[1]) for y, *_ in ends]
    order = sorted(range(len(ends)), key=lambda i: (pixels[i], -i))
    places = spread([(pixels[i] - low) / (high - low) for i in order], gap=gap, high=1.0)
    for i, place in zip(order, places, strict=True):
        _, name, colour, dashes = ends[i]
        sample = DrawingArea(_SAMPLE_POINTS, SMALL_POINTS)
        sample.add_artist(
            Line2D([0, _SAMPLE_POINTS], [SMALL_POINTS / 3] * 2, color=colour, linestyle=dashes, linewidth=1.4)
        )
        text = TextArea(name, textprops={"fontsize": SMALL_POINTS})
        box = AnnotationBbox(
            HPacker(children=[sample, text], align="baseline", pad=0, sep=3),
            (1.0, place),
            xycoords="axes fraction",
            xybox=(4, 0),
            boxcoords="offset points",
            box_alignment=(0, 0.5),
            frameon=False,
            pad=0,
            annotation_clip=False,
        )
        axes.add_artist(box)


def spread(places: Sequence[float], *, gap: float, high: float) -> list[float]:
    """Rising places pushed up until they are at least `gap` apart, then down again where they pass `high`."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    limit = high
    for i in range(len(moved) - 1, -1, -1):
        moved[i] = min(moved[i], limit)
        limit = moved[i] - gap
    return moved


def say_nothing_to_show(figure: Figure, sentence: str) -> None:
    """A low figure with a sentence in place of data."""
    figure.set_figheight(1.0)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=TEXT_GREY, transform=axes.transAxes, wrap=True)


def _round_ticks(most: int) -> MaxNLocator:
    return MaxNLocator(nbins=most, steps=[1, 2, 5, 10])


def _duration_unit(seconds: float) -> tuple[str, float]:
    for word, unit, limit in (
        ("µs", 1e-6, 1e-3),
        ("ms", 1e-3, 1.0),
        ("s", 1.0, 180.0),
        ("min", MINUTE, 3 * HOUR),
        ("h", HOUR, 3 * DAY),
    ):
        if seconds < limit:
            return word, unit
    return "d", DAY


def _linear_locator(top_in_unit: float, unit: float) -> FixedLocator:
    """Round numbers of the unit, although the data are in seconds."""
    return FixedLocator([tick * unit for tick in _round_ticks(5).tick_values(0, top_in_unit)])
