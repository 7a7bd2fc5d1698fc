"""The figures of a run, drawn from its result folder and written into it as PNG and SVG.

`PLOTS` is the one list of figures: its order is that of the report, and its captions say how to read each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from matplotlib.figure import Figure

from jsm.states import JobState, Trigger
from jsm.transitions import Transition
from sim import plot_style as style
from sim.plot_flow import draw_queue_depth, draw_throughput, draw_typical_week, draw_utilisation, has_typical_week
from sim.plot_latency import draw_latency_over_time, draw_latency_percentiles
from sim.result_folder import ResultFolder, read_result_folder

StateDiagram = Callable[[Figure, Mapping[Transition, int]], None]
"""Draws the state diagram onto an empty figure, with the count of each edge; an edge left out happened 0 times."""

STATE_DIAGRAM: Final = "state_diagram"
"""The name of the figure that the caller's function draws."""


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
    if not has_typical_week(results):
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
        "The black marks are the median, the dark band reaches up to the 90th percentile and the light band to the "
        "99th, by the time of the first reserve (wait) or of the delete (total); gaps are times without such a job.",
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
    "throughput": draw_throughput,
    "queue_depth": draw_queue_depth,
    "latency_percentiles": draw_latency_percentiles,
    "latency_over_time": draw_latency_over_time,
    "utilisation": draw_utilisation,
    "typical_week": draw_typical_week,
}
