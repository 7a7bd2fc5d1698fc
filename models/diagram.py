"""Draws the state diagram: Mermaid and Graphviz text, and a picture with a layout chosen by hand.

All of them are made from `models.graph`, optionally with counts on the edges; the same arguments give the same
bytes. The picture keeps things where the protocol's own drawing has them: jobs come in from the left, the
delayed ones are above, the buried ones below, and deleted is on the right. States are wide enough for every
edge to have a straight arrow of its own with the label beside it, so that nothing crosses anything; it reads
in black and white, on paper and 390 pixels wide.
"""

import io
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jsm.states import JobState, Trigger
from jsm.transitions import Transition
from models.graph import TIMES_TRIGGERS, edge_name, edges_of, transition_graph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

Counts = Mapping[Transition, int]
"""How often each edge was taken; an edge that is left out was never taken."""

WIDTH, HEIGHT = 400.0, 470.0
"""The picture's own coordinates, from the lower left corner; a unit is a point at the natural size."""


class DiagramFormat(StrEnum):
    """The forms in which `jsm graph` gives the diagram."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    PNG = "png"


class _Box(NamedTuple):
    """A state's place."""

    left: float
    bottom: float
    right: float
    top: float


class _Route(NamedTuple):
    """An edge's way, corner by corner, and where its label stands."""

    corners: tuple[tuple[float, float], ...]
    label: tuple[float, float]  # the point of the way that the label is beside
    side: str  # "across" a level arrow (the trigger above, the count below), or "left" or "right" of an upright one


def _level(y: float, start: float, end: float) -> _Route:
    # The label stands a little towards the start, clear of a thick arrow's head.
    return _Route(((start, y), (end, y)), ((start + end) / 2 + math.copysign(5, start - end), y), "across")


def _upright(x: float, start: float, end: float, side: str) -> _Route:
    return _Route(((x, start), (x, end)), (x, (start + end) / 2), side)


_BOXES: Final = {
    JobState.NEW: _Box(6, 172, 26, 462),
    JobState.DELAYED: _Box(98, 424, 308, 462),
    JobState.READY: _Box(98, 172, 164, 342),
    JobState.RESERVED: _Box(236, 172, 308, 342),
    JobState.BURIED: _Box(128, 52, 308, 90),
    JobState.DELETED: _Box(374, 18, 394, 462),
}

_ROUTES: Final[Mapping[tuple[JobState, Trigger], _Route]] = {
    (JobState.NEW, Trigger.PUT): _level(257, 26, 98),
    (JobState.NEW, Trigger.PUT_DELAYED): _level(443, 26, 98),
    (JobState.DELAYED, Trigger.DELAY_ELAPSED): _upright(116, 424, 342, "left"),
    (JobState.DELAYED, Trigger.KICK): _upright(146, 424, 342, "right"),
    (JobState.DELAYED, Trigger.RESERVE_JOB): _upright(255, 424, 342, "left"),
    (JobState.DELAYED, Trigger.DELETE): _level(443, 308, 374),
    (JobState.READY, Trigger.RESERVE): _level(324, 164, 236),
    (JobState.READY, Trigger.RESERVE_JOB): _level(290.5, 164, 236),
    # The one way that has to go round: below the buried.
    (JobState.READY, Trigger.DELETE): _Route(((113, 172), (113, 30), (374, 30)), (218, 30), "across"),
    (JobState.RESERVED, Trigger.TOUCH): _Route(((308, 318), (364, 318), (364, 290), (308, 290)), (334, 318), "across"),
    (JobState.RESERVED, Trigger.RELEASE): _level(257, 236, 164),
    (JobState.RESERVED, Trigger.RELEASE_DELAYED): _upright(281, 342, 424, "right"),
    (JobState.RESERVED, Trigger.BURY): _upright(281, 172, 90, "right"),
    (JobState.RESERVED, Trigger.DELETE): _level(223.5, 308, 374),
    (JobState.RESERVED, Trigger.TTR_EXPIRED): _level(223.5, 236, 164),
    (JobState.RESERVED, Trigger.CLOSE): _level(190, 236, 164),
    (JobState.BURIED, Trigger.KICK): _upright(146, 90, 172, "right"),
    (JobState.BURIED, Trigger.RESERVE_JOB): _upright(255, 90, 172, "left"),
    (JobState.BURIED, Trigger.DELETE): _level(71, 308, 374),
}

_ENDS: Final = (JobState.NEW, JobState.DELETED)
_INK, _FAINT, _FILL, _END_FILL, _PAPER = "#111111", "#757575", "#eceff3", "#464b53", "#ffffff"
_FONT = "DejaVu Sans"  # comes with matplotlib, so the picture looks the same everywhere
_HEAD_LENGTH, _CORNER = 8.0, 7.0
_THIN_SPACE = "\u2009"


def render(form: DiagramFormat, counts: Counts | None = None) -> bytes:
    """The diagram in one of its forms."""
    if form is DiagramFormat.MERMAID:
        return mermaid_text(counts).encode()
    if form is DiagramFormat.DOT:
        return dot_text(counts).encode()
    if form is DiagramFormat.SVG:
        return svg_bytes(counts)
    return png_bytes(counts)


def mermaid_text(counts: Counts | None = None) -> str:
    """The diagram in Mermaid's `stateDiagram-v2`, as Markdown renderers show it."""
    lines = ["stateDiagram-v2", "    direction LR"]
    for edge in edges_of(transition_graph()):
        source = "[*]" if edge.source in _ENDS else edge.source
        target = "[*]" if edge.target in _ENDS else edge.target
        count = "" if counts is None else f" ({counts.get(edge, 0)})"
        lines.append(f"    {source} --> {target}: {edge.trigger}{count}")
    return "\n".join(lines) + "\n"


def dot_text(counts: Counts | None = None) -> str:
    """The diagram in Graphviz's language; edges that were never taken are dashed."""
    graph = transition_graph()
    lines = [
        "digraph life_of_a_job {",
        "    rankdir=LR;",
        '    node [shape=box, style="rounded,filled", fillcolor="#eceff3", fontname="Helvetica"];',
        '    edge [fontname="Helvetica", fontsize=10];',
    ]
    for state, data in graph.nodes(data=True):
        ends = ', shape=circle, style=filled, fillcolor="#111111", fontcolor="#ffffff"' if state in _ENDS else ""
        lines.append(f'    "{state}" [tooltip="{data["meaning"]}"{ends}];')
    for edge in edges_of(graph):
        label, style = str(edge.trigger), ""
        if counts is not None:
            count = counts.get(edge, 0)
            label += f"\\n{_grouped(count, ' ')}"
            style = f", penwidth={_line_points(count):.2f}" if count else ', style=dashed, color="#7a7a7a"'
        lines.append(f'    "{edge.source}" -> "{edge.target}" [label="{label}"{style}];')
    return "\n".join([*lines, "}", ""])


def svg_bytes(counts: Counts | None = None) -> bytes:
    """The picture as SVG. Letters are outlines, so it looks the same whatever fonts a reader has."""
    return _saved("svg", counts, metadata={"Date": None, "Creator": "jsm graph", "Title": "The life of a job"})


def png_bytes(counts: Counts | None = None, *, dots_per_inch: int = 216) -> bytes:
    """The picture as PNG, three dots a unit unless told otherwise."""
    return _saved("png", counts, metadata={"Software": None, "Title": "The life of a job"}, dpi=dots_per_inch)


def state_diagram_figure(counts: Counts | None = None) -> "Figure":
    """The picture as a matplotlib figure of its natural size, 400 points wide."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), facecolor=_PAPER)
    draw_state_diagram(figure, counts)
    return figure


def draw_state_diagram(figure: "Figure", counts: Counts | None = None) -> None:
    """Draw the picture onto an empty figure, below its title if it has one, as large as fits.

    With `counts` each edge shows how often it was taken, its width grows with the logarithm of that, and edges
    that were never taken are dashed and grey. The figure's layout engine is switched off.
    """
    figure.set_layout_engine("none")  # the place is chosen here, and letters are scaled to it
    title_inches = 0.36 if figure.get_suptitle() else 0.0
    draw_on_axes(figure.add_axes((0, 0, 1, 1 - title_inches / figure.get_figheight())), counts)


def draw_on_axes(axes: "Axes", counts: Counts | None = None) -> None:
    """Draw the picture into axes, as large as fits now: set the figure's size and the axes' place before.

    Raises `LookupError` when the table has an edge that has no place in the layout yet.
    """
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, HEIGHT)
    axes.set_aspect("equal")
    axes.set_axis_off()
    box = axes.get_window_extent()
    points = 72 / axes.get_figure(root=True).dpi  # type: ignore[union-attr]  # axes in a figure
    scale = min(box.width / WIDTH, box.height / HEIGHT) * points
    for state, place in _BOXES.items():
        _draw_state(axes, state, place, scale)
    for edge in edges_of(transition_graph()):
        route = _ROUTES.get((edge.source, edge.trigger))
        if route is None:
            raise LookupError(f"the layout has no way for {edge_name(edge)}; add one to models/diagram.py")
        _draw_edge(axes, edge, route, None if counts is None else counts.get(edge, 0), scale)
    footer = "slanted: done by time (a tick)"
    if counts is not None:
        footer += "   ·   dashed: never taken   ·   width: log of the count"
    _write(axes, WIDTH / 2, 3, footer, scale, size=7.5, va="bottom", color=_FAINT)


def _draw_state(axes: "Axes", state: JobState, box: _Box, scale: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, bottom, right, top = box
    ends = state in _ENDS
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom),
            right - left,
            top - bottom,
            boxstyle="round,pad=0,rounding_size=8",
            facecolor=_END_FILL if ends else _FILL,
            edgecolor=_INK,
            linewidth=1.3 * scale,
        )
    )
    colour, turn = (_PAPER, 90) if ends else (_INK, 0)
    middle = ((left + right) / 2, (bottom + top) / 2)
    _write(axes, *middle, state, scale, size=11, weight="bold", color=colour, rotation=turn)


def _draw_edge(axes: "Axes", edge: Transition, route: _Route, count: int | None, scale: float) -> None:
    from matplotlib.patches import PathPatch, Polygon

    never = count == 0
    width = 1.1 if count is None or never else _line_points(count)
    colour = _FAINT if never else _INK
    head = _HEAD_LENGTH + 1.1 * width
    (before_x, before_y), (x, y) = route.corners[-2:]
    length = math.hypot(x - before_x, y - before_y)
    along_x, along_y = (x - before_x) / length, (y - before_y) / length
    neck_x, neck_y = x - head * along_x, y - head * along_y
    half = 0.42 * head
    # The line ends inside the head, so that a thick one does not show beside its tip.
    stop = (neck_x + 1.5 * along_x, neck_y + 1.5 * along_y)
    axes.add_patch(
        PathPatch(
            _rounded([*route.corners[:-1], stop]),
            facecolor="none",
            edgecolor=colour,
            linewidth=width * scale,
            linestyle=(0, (3.5, 2.5)) if never else "solid",
            capstyle="butt",
        )
    )
    wings = [(neck_x - half * along_y, neck_y + half * along_x), (neck_x + half * along_y, neck_y - half * along_x)]
    axes.add_patch(Polygon([(x, y), *wings], closed=True, facecolor=colour, edgecolor="none"))
    _label_edge(axes, edge, route, count, scale, gap=width / 2 + 2.2)


def _label_edge(axes: "Axes", edge: Transition, route: _Route, count: int | None, scale: float, *, gap: float) -> None:
    x, y = route.label
    number = "" if count is None else _grouped(count, _THIN_SPACE)
    colour = _FAINT if count == 0 else _INK
    style = "italic" if edge.trigger in TIMES_TRIGGERS else "normal"
    if route.side == "across":
        _write(axes, x, y + gap, edge.trigger, scale, va="bottom", style=style, color=colour)
        _write(axes, x, y - gap, number, scale, size=8.5, va="top", color=colour)
        return
    x += gap + 1 if route.side == "right" else -gap - 1
    ha = "left" if route.side == "right" else "right"
    if not number:
        _write(axes, x, y, edge.trigger, scale, ha=ha, style=style, color=colour)
        return
    _write(axes, x, y + 1, edge.trigger, scale, ha=ha, va="bottom", style=style, color=colour)
    _write(axes, x, y - 2, number, scale, size=8.5, ha=ha, va="top", color=colour)


def _write(axes: "Axes", x: float, y: float, text: str, scale: float, *, size: float = 9.0, **style: Any) -> None:
    if text:
        options = {"ha": "center", "va": "center", "color": _INK, **style}
        axes.text(x, y, str(text), fontsize=size * scale, fontfamily=_FONT, **options)


def _rounded(corners: Sequence[tuple[float, float]]) -> "Path":
    """A way through the corners, each rounded."""
    from matplotlib.path import Path

    points, codes = [corners[0]], [int(Path.MOVETO)]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        points += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [int(Path.LINETO), int(Path.CURVE3), int(Path.CURVE3)]
    return Path([*points, corners[-1]], [*codes, int(Path.LINETO)])


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The point near the corner at which its rounding begins or ends."""
    share = _CORNER / math.dist(corner, other)
    return corner[0] + share * (other[0] - corner[0]), corner[1] + share * (other[1] - corner[1])


def _line_points(count: int) -> float:
    """The width of an edge that was taken `count` times: a step for every factor of ten."""
    return min(1.0 + 0.5 * math.log10(count), 4.5)


def _grouped(count: int, separator: str) -> str:
    """A count with its digits in groups of three."""
    return f"{count:,}".replace(",", separator)


def _saved(form: str, counts: Counts | None, **options: Any) -> bytes:
    """The picture's file, independent of the reader's settings of matplotlib, of the day and of chance."""
    import matplotlib.style

    buffer = io.BytesIO()
    with matplotlib.style.context("default"), matplotlib.rc_context({"svg.hashsalt": "jsm", "svg.fonttype": "path"}):
        state_diagram_figure(counts).savefig(buffer, format=form, **options)
    return buffer.getvalue()
