"""`jsm simulate` in replications: intervals in the summary and the table, the same bytes whoever makes them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jsm.__main__ import main
from sim.histogram import Histogram
from sim.input_errors import ScenarioError
from sim.replicated import Replicated, Wanted, wanted_of
from sim.replications import MEASURES, PRECISE, Replicate
from sim.run_result import RunInfo

SHORT = ("mm1", "--set", "run.duration_seconds=100.0", "--set", "run.warmup_seconds=10.0", "--no-plots")

Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def simulate(*arguments: object) -> int:
    return main(["simulate", *map(str, (*SHORT, *arguments))])


def summary(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(out, "summary.json").read_text("utf-8"))
    return found


def test_replications_add_intervals_and_leave_the_run_as_it_is(capsys: Shown) -> None:
    assert simulate("--out", "alone", "--quiet") == 0
    assert simulate("--out", "many", "--replications", "4", "--processes", "1") == 0
    shown = capsys.readouterr().out
    assert "All 4 replications together\n" in shown
    assert max(map(len, shown.splitlines())) <= 80
    alone, many = summary("alone"), summary("many")
    made = many.pop("replications")
    assert many.pop("notes")[:-1] == alone.pop("notes")
    assert many == alone
    assert list(made["measures"]) == list(MEASURES)
    assert (made["count"], made["reached"], made["failing_checks"]) == (4, None, [])
    table = pl.read_parquet("many/metrics/replications.parquet")
    assert table["replication"].to_list() == [0, 1, 2, 3]
    assert table["wait.mean"][0] == pytest.approx(alone["wait_seconds"]["mean"])
    assert table["wait.mean"].mean() == pytest.approx(made["measures"]["wait.mean"]["estimate"])
    command = json.loads(Path("many/run.json").read_text("utf-8"))["command"]
    assert command.endswith("--replications 4")


def test_processes_change_no_byte_of_the_summary() -> None:
    for processes in (1, 2):
        assert simulate("--out", processes, "--replications", "3", "--processes", processes, "--quiet") == 0
    assert Path("1/summary.json").read_bytes() == Path("2/summary.json").read_bytes()


def test_replications_until_the_intervals_are_narrow(capsys: Shown) -> None:
    assert simulate("--out", "wide", "--until-halfwidth", "90%", "--processes", "1", "--quiet") == 0
    made = summary("wide")["replications"]
    assert made["reached"] is True
    assert 10 <= made["count"] < 100
    for name in PRECISE:
        found = made["measures"][name]
        assert (found["high"] - found["low"]) / 2 <= 0.9 * found["estimate"]
    narrow = ("--until-halfwidth", "1%", "--replications", "10", "--processes", "1", "--quiet")
    assert simulate("--out", "narrow", *narrow) == 3
    assert "after 10 replications the half-width of wait.mean, " in capsys.readouterr().err
    assert summary("narrow")["replications"]["reached"] is False


@pytest.mark.parametrize(
    ("replications", "half_width", "wanted"),
    [
        (None, None, None),
        (1, None, None),
        (5, None, Wanted(5)),
        (None, "2%", Wanted(1000, 0.02)),
        (50, " 0.05 ", Wanted(50, 0.05)),
    ],
)
def test_what_the_options_say(replications: int | None, half_width: str | None, wanted: Wanted | None) -> None:
    assert wanted_of(replications, half_width, 1) == wanted


def test_what_a_run_has_to_say_stays() -> None:
    run = Replicate(0, 1, dict.fromkeys(MEASURES, 1.0), {"wait": Histogram(), "total": Histogram()}, ())
    info = Replicated((run, run), Wanted(2), None).info(RunInfo("s", "d", 1, notes=("a note",), more={"key": 1}))
    assert (info.notes[0], len(info.notes)) == ("a note", 2)
    assert list(info.more or {}) == ["key", "replications"]


@pytest.mark.parametrize("text", ["", "two", "0%", "100%", "-1%", "nan", "5"])
def test_a_half_width_is_a_share(text: str) -> None:
    with pytest.raises(ScenarioError, match=r"is no share of an estimate; write it like 2% or 0\.02"):
        wanted_of(None, text, 1)


def test_a_bound_below_the_first_look_is_refused(capsys: Shown) -> None:
    assert simulate("--until-halfwidth", "5%", "--replications", "9") == 2
    assert capsys.readouterr().err.startswith("jsm simulate: --replications 9: with --until-halfwidth it is the bound")
