"""The series of figures: what is put together is neither lost nor counted twice."""

import numpy as np
import polars as pl
import pytest

from sim.plot_series import STEPS_MAX, fold_week, resample, resample_percentile, steps_for
from sim.result_folder import ResultFolder, column, read_result_folder
from tests.result_folders import MANY, SHORT, WEEKS, write_result_folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ResultFolder]:
    root = tmp_path_factory.mktemp("runs")
    made = {"short": SHORT, "weeks": WEEKS, "many": MANY}
    return {name: read_result_folder(write_result_folder(root / name, run)) for name, run in made.items()}


def bucket_frame(**columns: list[float] | list[int] | list[float | None]) -> pl.DataFrame:
    size = len(next(iter(columns.values())))
    return pl.DataFrame({"start_seconds": [10.0 * i for i in range(size)], "width_seconds": [10.0] * size, **columns})


def test_resampled_counts_add_up_to_the_counts(runs: dict[str, ResultFolder]) -> None:
    for run in ("short", "weeks", "many"):
        timeline = runs[run].timeline
        steps = resample(timeline, "puts")
        assert steps.values.size <= STEPS_MAX
        assert steps.edges[0] == 0
        assert float((steps.values * np.diff(steps.edges)).sum()) == pytest.approx(timeline["puts"].sum(), rel=1e-12)


def test_weeks_are_resampled_to_whole_days(runs: dict[str, ResultFolder]) -> None:
    widths = np.diff(resample(runs["weeks"].timeline, "puts").edges)
    assert set(widths[:-1].tolist()) == {86400.0}


def test_resampled_levels_are_means_over_time() -> None:
    frame = bucket_frame(ready_mean=[float(i) for i in range(400)])
    steps = resample(frame, "ready_mean")
    assert steps.edges[1] == 30.0
    assert steps.values[:3].tolist() == pytest.approx([1.0, 4.0, 7.0])


def test_few_buckets_stay_as_they_are() -> None:
    steps = resample(bucket_frame(puts=[5, 0, 20]), "puts")
    assert steps.edges.tolist() == [0, 10, 20, 30]
    assert steps.values.tolist() == [0.5, 0, 2]


def test_resampled_percentiles_are_weighted_by_jobs_and_missing_without_any() -> None:
    values: list[float | None] = [1.0, 4.0, None] * 100
    frame = bucket_frame(wait_p50=[*values, None, None, None], wait_count=[1, 2, 0] * 100 + [0, 0, 0])
    steps = resample_percentile(frame, "wait_p50", count="wait_count")
    assert steps.edges[1] == 30.0
    assert steps.values[:-1] == pytest.approx(3.0)
    assert np.isnan(steps.values[-1])


def test_few_jobs_get_few_steps() -> None:
    frame = bucket_frame(puts=[1] * 300)
    assert steps_for(frame, "puts") == 60
    assert steps_for(bucket_frame(puts=[0]), "puts") == 20
    assert steps_for(bucket_frame(puts=[10**6]), "puts") == STEPS_MAX


def test_a_folded_week_finds_the_hour() -> None:
    """Ten jobs in the second hour of each week, over two weeks and a half."""
    hours = round(2.5 * 168)
    frame = pl.DataFrame(
        {
            "start_seconds": [3600.0 * i for i in range(hours)],
            "width_seconds": [3600.0] * hours,
            "puts": [10 if i % 168 == 1 else 0 for i in range(hours)],
        }
    )
    week = fold_week(frame, "puts", first_hour=0.0)
    assert week.values.size == 168
    assert (week.values * 3600).tolist() == pytest.approx([10.0 if i == 1 else 0.0 for i in range(168)])
    shifted = fold_week(frame, "puts", first_hour=24.0 * 4)  # the run started on a Friday at midnight
    assert int(shifted.values.argmax()) == 24 * 4 + 1


def test_a_folded_week_splits_wide_buckets(runs: dict[str, ResultFolder]) -> None:
    timeline = runs["weeks"].timeline
    week = fold_week(timeline, "puts", first_hour=0.0)
    parts = np.diff(week.edges)
    assert set(parts.tolist()) == {3 * 3600.0}
    weeks = float(column(timeline, "width_seconds").sum()) / (7 * 86400)
    assert float((week.values * parts).sum()) * weeks == pytest.approx(timeline["puts"].sum(), rel=0.03)
