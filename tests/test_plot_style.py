"""The axes and labels of figures: units that fit, ticks that read, names that stay apart."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim import plot_style as style


@pytest.fixture
def house_style() -> Iterator[None]:
    with style.house_style():
        yield


def test_labels_are_spread_no_further_than_needed() -> None:
    assert style.spread([0.1, 0.5], gap=0.1, high=1.0) == [0.1, 0.5]
    assert style.spread([0.5, 0.5, 0.5], gap=0.1, high=1.0) == pytest.approx([0.5, 0.6, 0.7])
    assert style.spread([0.9, 0.95, 1.0], gap=0.1, high=1.0) == pytest.approx([0.8, 0.9, 1.0])


def test_long_names_keep_their_ends() -> None:
    assert style.shortened("x" * 20) == "x" * 20
    names = [style.shortened(f"machines-of-the-north-pool-{i}") for i in range(3)]
    assert names[0] == "machines-o…th-pool-0"
    assert len(set(names)) == 3


def test_a_percentile_axis_spaces_nines_evenly() -> None:
    x = style.percentile_x(np.array([0.0, 90.0, 99.0, 99.9, 99.99]))
    assert x.tolist() == pytest.approx([0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("per_second", "unit"), [(20.0, "second"), (1.0, "second"), (0.5, "minute"), (0.0023, "hour"), (1e-5, "day")]
)
def test_a_rate_is_shown_in_a_unit_in_which_it_is_at_least_1(per_second: float, unit: str) -> None:
    assert style.rate_unit(per_second)[1] == unit


@pytest.mark.usefixtures("house_style")
@pytest.mark.parametrize(
    ("end", "label"),
    [
        (0.5, "seconds since the start"),
        (180.0, "seconds since the start"),
        (181.0, "minutes since the start"),
        (3 * 3600.0, "minutes since the start"),
        (86400.0, "hours since the start"),
        (3 * 86400.0, "hours since the start"),
        (4 * 86400.0, "days since the start"),
        (92 * 86400.0, "days since the start; a line every week"),
        (3000 * 86400.0, "days since the start"),
    ],
)
def test_the_unit_of_time_fits_the_range(end: float, label: str) -> None:
    axes = Figure().subplots()
    style.time_axis(axes, end)
    assert axes.get_xlabel() == label
    assert 2 <= len([tick for tick in axes.get_xticks() if 0 <= tick <= end]) <= 9


@pytest.mark.usefixtures("house_style")
def test_a_replayed_log_names_its_first_day_and_the_warm_up_is_marked() -> None:
    axes = Figure().subplots()
    started = datetime.fromisoformat("1993-10-01T00:00:03-08:00")
    style.time_axis(axes, 50 * 86400.0, warmup_seconds=86400.0, starts_at=started)
    assert axes.get_xlabel() == "days since Fri 1 Oct 1993; a line every week; grey: warm-up"


def duration_ticks(axes: Axes) -> list[str]:
    low, high = axes.get_ylim()
    formatter = axes.yaxis.get_major_formatter()
    return [formatter(tick, i) for i, tick in enumerate(axes.get_yticks()) if low <= tick <= high]


@pytest.mark.usefixtures("house_style")
@pytest.mark.parametrize(
    ("values", "label", "ticks"),
    [
        ([0.5, 1.0, 4.0], "wait (s)", ["0", "1", "2", "3", "4"]),
        ([0.0, 0.0, 0.0], "wait (s)", ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([600.0, 3000.0], "wait (min)", ["0", "10", "20", "30", "40", "50"]),
        ([0.01, 10.0, 4000.0], "wait (log scale)", ["10 ms", "100 ms", "1 s", "10 s", "1 min", "10 min", "1 h"]),
        ([0.0, 1.0, 2.0, 4000.0], "wait (log scale)", ["0", "1 s", "10 s", "1 min", "10 min", "1 h"]),
    ],
)
def test_durations_are_linear_or_logarithmic_by_their_range(values: list[float], label: str, ticks: list[str]) -> None:
    axes = Figure().subplots()
    style.duration_axis(axes, np.array(values), quantity="wait")
    assert axes.get_ylabel() == label
    assert duration_ticks(axes) == ticks
