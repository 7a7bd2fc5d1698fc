"""The figures: what is drawn, that it is legible without a person looking, and that equal runs give equal bytes."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import matplotlib as mpl
import polars as pl
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from jsm.states import JobState, Trigger
from jsm.transitions import Transition
from sim import plot_flow, plot_latency
from sim import plot_style as style
from sim.plots import PLOTS, draw_plots
from sim.result_folder import ResultFolder, read_result_folder
from tests.result_folders import EMPTY, MANY, SHORT, WEEKS, write_result_folder

PUT = Transition(JobState.NEW, Trigger.PUT, JobState.READY)
LONG_NAMES = dataclasses.replace(
    SHORT,
    classes=tuple(f"a-class-with-a-long-name-{i}" for i in range(9)),
    pools=tuple((f"pool-of-machines-{i}", 3) for i in range(12)),
)
ALONE = dataclasses.replace(SHORT, classes=(), pools=(("one", 1),), buckets=3)
NO_WAIT = dataclasses.replace(SHORT, tail=6.0)  # waits over many decades
RUNS = {
    "short": SHORT,
    "weeks": WEEKS,
    "empty": EMPTY,
    "many": MANY,
    "long names": LONG_NAMES,
    "alone": ALONE,
    "decades": NO_WAIT,
}
DRAWS = {
    "throughput": plot_flow.draw_throughput,
    "queue_depth": plot_flow.draw_queue_depth,
    "utilisation": plot_flow.draw_utilisation,
    "latency_percentiles": plot_latency.draw_latency_percentiles,
    "latency_over_time": plot_latency.draw_latency_over_time,
}
BY_NAME = {plot.name: plot for plot in PLOTS}


def draw_counts(figure: Figure, counts: Mapping[Transition, int]) -> None:
    """Stands in for the models' drawing of the state diagram."""
    figure.text(0.5, 0.5, f"{counts[PUT]} puts")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ResultFolder]:
    root = tmp_path_factory.mktemp("runs")
    return {name: read_result_folder(write_result_folder(root / name, made)) for name, made in RUNS.items()}


@pytest.fixture
def house_style() -> Iterator[None]:
    with style.house_style():
        yield


def drawn(results: ResultFolder, name: str) -> Figure:
    figure = style.new_figure(BY_NAME[name].title, height_inches=BY_NAME[name].height_inches)
    DRAWS[name](figure, results)
    figure.canvas.draw()
    return figure


def visible_texts(figure: Figure) -> list[Text]:
    """What a reader sees: matplotlib also keeps labels of ticks outside the limits, and those of axes that are off."""
    hidden: set[int] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in axis.get_major_ticks():
                if not axes.axison or not low - slack <= tick.get_loc() <= high + slack:
                    hidden |= {id(tick.label1), id(tick.label2)}
    texts = cast("list[Text]", figure.findobj(Text))
    return [text for text in texts if text.get_visible() and text.get_text().strip() and id(text) not in hidden]


def layout_faults(figure: Figure) -> list[str]:
    """Text that is too small, reaches out of the figure, or lies on other text."""
    texts = visible_texts(figure)
    boxes = [text.get_window_extent() for text in texts]
    sizes = [float(text.get_fontsize()) for text in texts]
    faults = [
        f"{text.get_text()!r} has {size:g} points"
        for text, size in zip(texts, sizes, strict=True)
        if size < style.SMALL_POINTS
    ]
    for text, box in zip(texts, boxes, strict=True):
        if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.width + 1 or box.y1 > figure.bbox.height + 1:
            faults.append(f"{text.get_text()!r} reaches out of the figure")
    for (first, a), (second, b) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        along = min(a.y1, b.y1) - max(a.y0, b.y0)
        if across > 1 and along > 2:
            faults.append(f"{first.get_text()!r} lies on {second.get_text()!r}")
    return faults


@pytest.mark.usefixtures("house_style")
@pytest.mark.parametrize("name", sorted(DRAWS))
@pytest.mark.parametrize("run", sorted(RUNS))
def test_no_text_is_small_cut_off_or_under_other_text(runs: dict[str, ResultFolder], run: str, name: str) -> None:
    assert layout_faults(drawn(runs[run], name)) == []


@pytest.mark.usefixtures("house_style")
def test_the_typical_week_is_legible_with_and_without_a_calendar(tmp_path: Path, runs: dict[str, ResultFolder]) -> None:
    plain = write_result_folder(tmp_path / "plain", dataclasses.replace(WEEKS, starts_at=None))
    for results, first in ((runs["weeks"], "Mon"), (read_result_folder(plain), "day 1")):
        figure = style.new_figure(BY_NAME["typical_week"].title, height_inches=BY_NAME["typical_week"].height_inches)
        plot_flow.draw_typical_week(figure, results)
        figure.canvas.draw()
        assert layout_faults(figure) == []
        assert figure.axes[0].get_xticklabels()[0].get_text() == first


@pytest.mark.usefixtures("house_style")
def test_the_check_of_the_layout_sees_each_fault(runs: dict[str, ResultFolder]) -> None:
    figure = drawn(runs["short"], "throughput")
    figure.text(0.5, 0.9, "one")
    figure.text(0.51, 0.9, "on it")
    figure.text(0.98, 0.5, "far out")
    figure.text(0.3, 0.3, "tiny", fontsize=6)
    faults = "\n".join(layout_faults(figure))
    assert "'one' lies on 'on it'" in faults
    assert "'far out' reaches out" in faults
    assert "'tiny' has 6" in faults


@pytest.mark.parametrize("run", ["short", "weeks", "empty"])
def test_every_figure_is_written_and_shows_something(tmp_path: Path, runs: dict[str, ResultFolder], run: str) -> None:
    folder = write_result_folder(tmp_path / "run", RUNS[run])
    paths = draw_plots(folder, draw_state_diagram=draw_counts)
    expected = [plot.name for plot in PLOTS if plot.name != "typical_week" or run == "weeks"]
    assert [path.name for path in paths] == [f"{name}.{kind}" for name in expected for kind in ("png", "svg")]
    for path in paths:
        if path.suffix == ".png":
            assert imread(path)[:, :, :3].std() > 0.01
        else:
            text = path.read_text(encoding="utf-8")
            assert "<text" not in text  # glyphs are outlines: no font is needed
            assert re.findall(r'(?:href|src)="(?!#)', text) == []
            assert len(text) < 250_000
    assert sum(path.stat().st_size for path in paths if path.suffix == ".svg") < 1_000_000


def test_equal_runs_give_equal_bytes_whatever_the_users_settings(tmp_path: Path) -> None:
    made = dataclasses.replace(SHORT, buckets=40)
    first = write_result_folder(tmp_path / "first", made)
    second = write_result_folder(tmp_path / "second", made)
    draw_plots(first, draw_state_diagram=draw_counts)
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": "other", "lines.linewidth": 9}):
        draw_plots(second, draw_state_diagram=draw_counts)
    names = sorted(path.name for path in (first / "plots").iterdir())
    assert len(names) == 2 * (len(PLOTS) - 1)
    for name in names:
        assert (first / "plots" / name).read_bytes() == (second / "plots" / name).read_bytes(), name


def test_the_state_diagram_gets_the_counts_of_all_edges(tmp_path: Path) -> None:
    folder = write_result_folder(tmp_path / "run", dataclasses.replace(SHORT, buckets=5))
    seen: list[Mapping[Transition, int]] = []
    draw_plots(folder, draw_state_diagram=lambda _, counts: seen.append(counts))
    assert len(seen[0]) == 19
    assert seen[0][PUT] == pl.read_parquet(folder / "metrics" / "timeline.parquet")["puts"].sum()


@pytest.mark.usefixtures("house_style")
def test_layers_of_the_queue_differ_in_grey_or_in_hatching(runs: dict[str, ResultFolder]) -> None:
    handles = drawn(runs["short"], "queue_depth").axes[0].get_legend().get_patches()  # type: ignore[union-attr]
    looks = []
    for handle in handles:
        red, green, blue = to_rgb(handle.get_facecolor())
        looks.append((0.299 * red + 0.587 * green + 0.114 * blue, handle.get_hatch() or ""))
    assert len(looks) == 4
    for (grey, hatch), (other_grey, other_hatch) in itertools.combinations(looks, 2):
        assert abs(grey - other_grey) > 0.2 or hatch != other_hatch


@pytest.mark.usefixtures("house_style")
def test_classes_are_told_apart_by_line_style_too_and_only_the_largest_are_drawn(
    runs: dict[str, ResultFolder],
) -> None:
    axes = drawn(runs["long names"], "latency_percentiles").axes
    assert len(axes) == 2
    styles = [(line.get_color(), str(line._dash_pattern)) for line in axes[0].lines]  # type: ignore[attr-defined]
    assert len(styles) == plot_latency.CLASSES_MAX
    assert len({dashes for _, dashes in styles}) == len({colour for colour, _ in styles}) == len(styles)
    assert "6 classes with the most jobs, of 9" in axes[0].get_title(loc="left")


def test_one_named_class_is_not_told_apart(tmp_path: Path) -> None:
    folder = write_result_folder(tmp_path / "run", dataclasses.replace(SHORT, classes=("only",)))
    assert plot_latency.class_names(read_result_folder(folder)) == []


@pytest.mark.usefixtures("house_style")
def test_a_burst_of_puts_is_cut_off_and_named(tmp_path: Path) -> None:
    folder = write_result_folder(tmp_path / "run", SHORT)
    file = folder / "metrics" / "timeline.parquet"
    timeline = pl.read_parquet(file)
    burst = pl.when(pl.int_range(pl.len()) < 4).then(100_000).otherwise(pl.col("puts"))
    timeline.with_columns(burst.alias("puts")).write_parquet(file)
    figure = drawn(read_result_folder(folder), "throughput")
    assert figure.axes[0].get_ylim()[1] < 200
    assert any("up to 6,250 put per second" in text.get_text() for text in figure.axes[0].texts)
    assert layout_faults(figure) == []


@pytest.mark.usefixtures("house_style")
def test_a_wait_that_is_always_0_says_so(tmp_path: Path) -> None:
    folder = write_result_folder(tmp_path / "run", SHORT)
    file = folder / "metrics" / "timeline.parquet"
    zero = [(pl.col(f"wait_{name}") * 0).alias(f"wait_{name}") for name in ("p50", "p90", "p99")]
    pl.read_parquet(file).with_columns(zero).write_parquet(file)
    figure = drawn(read_result_folder(folder), "latency_over_time")
    assert [text.get_text() for text in figure.axes[0].texts] == ["0 at all times: no wait at all"]


@pytest.mark.usefixtures("house_style")
def test_workers_are_bars_up_to_64_and_a_curve_above(runs: dict[str, ResultFolder], tmp_path: Path) -> None:
    for count, bars in ((64, 64), (65, 0)):
        made = dataclasses.replace(EMPTY, pools=(("pool", count),))
        figure = drawn(read_result_folder(write_result_folder(tmp_path / str(count), made)), "utilisation")
        assert sum(len(container) for container in figure.axes[1].containers) == bars


@pytest.mark.usefixtures("house_style")
def test_a_run_of_no_time_or_no_workers_says_so(tmp_path: Path) -> None:
    folder = write_result_folder(tmp_path / "run", EMPTY)
    for name in ("timeline", "workers", "latency"):
        file = folder / "metrics" / f"{name}.parquet"
        pl.read_parquet(file).clear().write_parquet(file)
    results = read_result_folder(folder)
    for name in DRAWS:
        (axes,) = drawn(results, name).axes
        assert not axes.axison
        assert "there is no" in axes.texts[0].get_text()
