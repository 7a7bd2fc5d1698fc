"""Sweeps: the same numbers however they are made, cells kept as they come, and what a broken one leaves behind."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jsm.engines import open_engine
from sim.axes import Axis
from sim.input_errors import InputError
from sim.replications import estimates, replications
from sim.scenario import bundled_scenarios, load_scenario
from sim.sweep import Sweep, cells_of, run_sweep
from sim.sweep_folder import SweepFolder, table_of

SHORT = ("run.duration_seconds=60.0", "run.warmup_seconds=5.0")
AXES = (Axis("workers.count", ("1", "2")), Axis("run.seed", ("1", "2")))
GRID = Sweep("mm1", SHORT, AXES, 3)


class Counting:
    """An engine in this process that counts what it is given, and can fail."""

    workers = 1
    place = "here"

    def __init__(self, fail_at: int | None = None) -> None:
        self.made = 0
        self._fail_at = fail_at

    def run(self, function: Callable[..., Any], pieces: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        for piece in pieces:
            if self.made == self._fail_at:
                raise KeyboardInterrupt
            self.made += 1
            yield function(*piece)


def swept(folder: Path, engine: Any, sweep: Sweep = GRID, **how: Any) -> dict[str, Any]:
    return run_sweep(sweep, cells_of(sweep), engine, SweepFolder(folder, "sweep"), **how)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("sweep")
    assert swept(folder, Counting())["complete"]
    return folder


def test_a_cell_is_the_estimates_of_its_replications(whole: Path) -> None:
    document = swept(whole, Counting())
    settings = [cell["settings"] for cell in document["cells"]]
    assert [(each["workers.count"], each["run.seed"]) for each in settings] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "1"),
        ("2", "2"),
    ]
    with open_engine() as engine:
        alone = estimates(list(replications(engine, load_scenario("mm1", [*SHORT, "workers.count=2"]), range(3))))
    assert document["cells"][2]["measures"]["wait.mean"]["estimate"] == pytest.approx(alone["wait.mean"]["estimate"])
    assert document["cells"][2]["failing_checks"] == []


def test_the_number_of_processes_changes_no_byte(whole: Path, tmp_path: Path) -> None:
    with open_engine(processes=2) as engine:
        swept(tmp_path, engine)
    assert files_of(tmp_path) == files_of(whole)


def test_a_broken_sweep_goes_on_and_ends_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    engine = Counting(fail_at=8)
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, engine)
    assert len(files_of(tmp_path)) == 2  # two whole cells, nothing of the third
    engine = Counting()
    swept(tmp_path, engine)
    assert engine.made == 6
    assert files_of(tmp_path) == files_of(whole)


def test_a_sweep_that_is_asked_to_stop_says_what_it_has(whole: Path, tmp_path: Path) -> None:
    asked = iter([False] * 4 + [True] * 99)
    told: list[tuple[int, int]] = []
    document = swept(
        tmp_path, Counting(), stopped=lambda: next(asked), progress=lambda done, total: told.append((done, total))
    )
    assert (document["complete"], len(document["cells"])) == (False, 1)
    assert told[0] == (0, 12)
    assert [done for done, _ in told] == list(range(len(told)))
    assert swept(tmp_path, Counting())["complete"]
    assert files_of(tmp_path) == files_of(whole)


def test_a_wider_grid_uses_what_is_there(whole: Path, tmp_path: Path) -> None:
    swept(tmp_path, Counting())
    engine = Counting()
    wider = Sweep("mm1", SHORT, (Axis("workers.count", ("1", "2", "3")), AXES[1]), 3)
    assert len(swept(tmp_path, engine, wider)["cells"]) == 6
    assert engine.made == 6
    more = Sweep("mm1", SHORT, AXES, 4)
    engine = Counting()
    swept(tmp_path, engine, more)
    assert engine.made == 16  # other replications: nothing of it is there


def test_a_damaged_cell_is_made_again(tmp_path: Path) -> None:
    swept(tmp_path, Counting())
    before = files_of(tmp_path)
    next((tmp_path / "cells").iterdir()).write_text("{", encoding="utf-8")
    engine = Counting()
    swept(tmp_path, engine)
    assert engine.made == 3
    assert files_of(tmp_path) == before


def test_scenarios_that_share_their_chance_differ_by_less(whole: Path) -> None:
    arrivals = [cell["measures"]["counts.puts"] for cell in swept(whole, Counting())["cells"]]
    assert arrivals[0] == arrivals[2] != arrivals[1]


def test_files_are_named_from_the_root_for_processes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(bundled_scenarios()["mm1"].read_text("utf-8"), encoding="utf-8")
    (cell,) = cells_of(Sweep("mine.toml", SHORT, (Axis("run.seed", ("1",)),), 3))
    assert cell.scenario.directory == tmp_path.resolve()


def test_the_table_has_the_types_of_the_keys(whole: Path) -> None:
    table = pl.read_parquet(whole / "sweep.parquet")
    assert table["workers.count"].to_list() == [1, 1, 2, 2]
    assert table["replications"].to_list() == [3] * 4
    assert (table["wait.mean.low"] < table["wait.mean"]).all()
    cells = [{"settings": {"x": x}, "replications": 1, "measures": {"m": None}} for x in ("1", "0.5")]
    assert table_of(["x"], cells)["x"].to_list() == [1.0, 0.5]
    cells[0]["settings"] = {"x": "word"}
    assert table_of(["x"], cells)["x"].to_list() == ["word", "0.5"]


def test_what_cannot_be_run_is_said_before_anything_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"workers\.count = 0"):
        cells_of(Sweep("mm1", SHORT, (Axis("workers.count", ("1", "0")),), 3))
    with pytest.raises(InputError, match=r"the grid has 1,000,000 cells"):
        cells_of(Sweep("mm1", (), tuple(Axis(f"k{n}", tuple(map(str, range(1000)))) for n in range(2)), 3))
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds files but no cells/ of an earlier sweep"):
        SweepFolder(tmp_path, "sweep")
    with pytest.raises(InputError, match=r"can't be written"):
        SweepFolder(tmp_path / "mine.txt" / "below", "sweep")
    assert files_of(tmp_path) == {"mine.txt": b"precious"}
