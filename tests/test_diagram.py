"""The pictures: complete, the same bytes every time, no label upon anything, and up to date in `reports/`."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Polygon
from matplotlib.transforms import Bbox

from jsm.states import JobState, Trigger
from jsm.transitions import Transition, transitions
from models import diagram
from models.diagram import (
    DiagramFormat,
    dot_text,
    draw_on_axes,
    draw_state_diagram,
    mermaid_text,
    png_bytes,
    render,
    state_diagram_figure,
    svg_bytes,
)

SVG = "{http://www.w3.org/2000/svg}"
REPORTS = Path(__file__).parent.parent / "reports"
EDGES = list(transitions())
LARGE = dict.fromkeys(EDGES, 12_345_678)
SOME = {edge: 10**number for number, edge in enumerate(EDGES[:8])}


@pytest.mark.parametrize(("form", "suffix"), [(DiagramFormat.MERMAID, "mmd"), (DiagramFormat.SVG, "svg")])
def test_the_committed_picture_is_up_to_date(form: DiagramFormat, suffix: str) -> None:
    path = REPORTS / f"state-diagram.{suffix}"
    assert path.read_bytes() == render(form), f"stale: jsm graph --format {form} --out reports/{path.name}"


def test_mermaid_has_every_edge_once() -> None:
    head, direction, *lines = mermaid_text().splitlines()
    assert (head, direction) == ("stateDiagram-v2", "    direction LR")
    pattern = re.compile(r" {4}(\[\*\]|\w+) --> (\[\*\]|\w+): ([a-z-]+)")
    matches = [pattern.fullmatch(line) for line in lines]
    read = [match.groups() for match in matches if match is not None]
    ends = {"new": "[*]", "deleted": "[*]"}
    assert read == [(ends.get(s, s), ends.get(t, t), trigger) for s, trigger, t in EDGES]


def test_mermaid_shows_counts_and_zeros() -> None:
    text = mermaid_text({EDGES[0]: 12_034})
    assert "    [*] --> ready: put (12034)\n" in text
    assert text.count("(0)") == 18


@pytest.mark.parametrize("counts", [None, SOME])
def test_dot_has_every_edge_once(counts: dict[Transition, int] | None) -> None:
    text = dot_text(counts)
    expected = sorted(f"{source}->{target}" for source, _, target in EDGES)
    arrows = re.findall(r'^    "(\w+)" -> "(\w+)" \[label="[^"]+"(?:, \w+=[^]]+)?\];$', text, re.MULTILINE)
    assert sorted(f"{source}->{target}" for source, target in arrows) == expected
    if shutil.which("dot") is not None:  # Graphviz itself has the last word where it is installed
        done = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        titles = [str(element.text) for element in ET.fromstring(done.stdout).iter(f"{SVG}title")]
        assert sorted(title for title in titles if "->" in title) == expected


def test_dot_dashes_what_was_never_taken() -> None:
    lines = dot_text({EDGES[0]: 12_034}).splitlines()
    assert '    "new" -> "ready" [label="put\\n12 034", penwidth=3.04];' in lines
    assert sum("style=dashed" in line for line in lines) == 18


@pytest.mark.parametrize("counts", [None, {}, SOME, LARGE])
def test_labels_and_arrows_keep_clear_of_one_another(counts: dict[Transition, int] | None) -> None:
    figure = state_diagram_figure(counts)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    labels = {f"{number} {text.get_text()}": text.get_window_extent() for number, text in enumerate(axes.texts)}
    for (one, box), (other, another) in combinations(labels.items(), 2):
        assert not box.overlaps(another), f"{one!r} stands upon {other!r}"
    page = Bbox.from_extents(0, 0, figure.bbox.width, figure.bbox.height)
    for name, box in labels.items():
        assert page.containsx(box.x0), name
        assert page.containsx(box.x1), name
        for patch in axes.patches:
            # Names of states stand in their boxes; a label touches neither a box's edge nor an arrow.
            if isinstance(patch, PathPatch | Polygon):
                path = patch.get_path().transformed(patch.get_transform())
                pen = patch.get_linewidth() / 2 * figure.dpi / 72 if isinstance(patch, PathPatch) else 0.0
                assert not path.intersects_bbox(box.padded(pen), filled=isinstance(patch, Polygon)), (
                    f"an arrow crosses {name!r}"
                )
            else:
                extent = patch.get_window_extent()
                inside = extent.contains(box.x0, box.y0) and extent.contains(box.x1, box.y1)
                assert inside or not extent.overlaps(box), f"{name!r} touches a box"


def test_every_edge_has_an_arrow_and_its_label() -> None:
    (axes,) = state_diagram_figure(SOME).axes
    heads = [patch for patch in axes.patches if isinstance(patch, Polygon)]
    lines = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    assert len(heads) == len(lines) == 19
    texts = [text.get_text() for text in axes.texts]
    assert sorted(text for text in texts if text in set(Trigger)) == sorted(edge.trigger for edge in EDGES)
    assert "10\u2009000\u2009000" in texts
    assert texts.count("0") == 11
    assert sum(line.get_linestyle() != "solid" for line in lines) == 11
    widths = [line.get_linewidth() for line in lines[:8]]
    assert widths == sorted(set(widths)), "more often is wider"


def test_an_edge_without_a_place_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(diagram._ROUTES, (JobState.READY, Trigger.RESERVE))
    with pytest.raises(LookupError, match=r"no way for ready>reserved by reserve; add one to models/diagram\.py"):
        state_diagram_figure()


@pytest.mark.parametrize("form", list(DiagramFormat))
def test_the_same_arguments_give_the_same_bytes(form: DiagramFormat) -> None:
    assert render(form, SOME) == render(form, dict(reversed(SOME.items())))
    assert render(form, SOME) != render(form)


def test_readers_settings_and_the_day_do_not_show() -> None:
    import matplotlib

    plain = svg_bytes()
    with matplotlib.rc_context(
        {"font.size": 30, "font.family": "serif", "savefig.bbox": "tight", "svg.fonttype": "none"}
    ):
        assert svg_bytes() == plain
    assert b"<dc:date>" not in plain


def test_files_are_what_they_say() -> None:
    root = ET.fromstring(svg_bytes())
    assert root.get("width") == "400pt"
    assert png_bytes().startswith(b"\x89PNG\r\n")


def test_it_scales_with_the_place_that_it_is_given() -> None:
    sizes = []
    for width in (3.0, 6.0):
        figure = Figure(figsize=(width, 20))
        draw_state_diagram(figure)
        sizes.append(figure.axes[0].texts[0].get_fontsize())
    assert sizes[1] == pytest.approx(2 * sizes[0])


def test_it_leaves_room_for_a_title() -> None:
    figure = Figure(figsize=(5.2, 6.6), layout="constrained")
    title = figure.suptitle("State diagram", x=0.012, ha="left")
    draw_state_diagram(figure, SOME)
    figure.draw_without_rendering()
    assert title.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1


def test_it_can_share_a_figure() -> None:
    figure = Figure(figsize=(8, 5))
    left, right = figure.subplots(1, 2)
    left.plot([1, 2])
    draw_on_axes(right, SOME)
    assert len(right.texts) == 6 + 19 + 19 + 1
