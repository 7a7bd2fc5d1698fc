"""Reading a result folder: what is missing or broken is said in one line, with the remedy."""

from pathlib import Path

import polars as pl
import pytest

from sim.result_folder import ResultFolderError, column, read_result_folder
from tests.result_folders import Made, write_result_folder


def test_a_folder_is_read_whole_and_run_json_may_be_missing(tmp_path: Path) -> None:
    folder = write_result_folder(tmp_path / "run", Made(buckets=3, deletes=False, reserves=False))
    results = read_result_folder(folder)
    assert results.summary["seed"] == 7
    assert results.run["wall_seconds"] == 2.31
    assert results.timeline.height == 3
    assert bool((column(results.timeline, "wait_p50") != column(results.timeline, "wait_p50")).all())  # null is NaN
    (folder / "run.json").unlink()
    assert read_result_folder(folder).run == {}


def break_summary(folder: Path, old: str, new: str) -> None:
    file = folder / "summary.json"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_folder_that_is_no_result_is_refused_with_file_field_and_remedy(tmp_path: Path) -> None:
    small = Made(buckets=3)

    def message(folder: Path) -> str:
        with pytest.raises(ResultFolderError) as caught:
            read_result_folder(folder)
        assert str(folder) in str(caught.value)
        assert f"jsm simulate --out {folder}" in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "summary.json: the file is missing" in message(tmp_path / "nothing")
    broken = write_result_folder(tmp_path / "format", small)
    break_summary(broken, '"format": 1', '"format": 9')
    assert "format = 9: expected 1" in message(broken)
    broken = write_result_folder(tmp_path / "key", small)
    break_summary(broken, '"checks"', '"cheques"')
    assert "checks: the key is missing" in message(broken)
    broken = write_result_folder(tmp_path / "json", small)
    (broken / "summary.json").write_text("{", encoding="utf-8")
    assert "can't be read" in message(broken)
    broken = write_result_folder(tmp_path / "list", small)
    (broken / "summary.json").write_text("[]", encoding="utf-8")
    assert "holds list, expected an object" in message(broken)
    broken = write_result_folder(tmp_path / "table", small)
    (broken / "metrics" / "edges.parquet").unlink()
    assert "edges.parquet: the file is missing" in message(broken)
    broken = write_result_folder(tmp_path / "cut", small)
    file = broken / "metrics" / "workers.parquet"
    file.write_bytes(file.read_bytes()[:50])
    assert "workers.parquet: can't be read" in message(broken)
    broken = write_result_folder(tmp_path / "column", small)
    file = broken / "metrics" / "timeline.parquet"
    pl.read_parquet(file).drop("busy_mean").write_parquet(file)
    assert "busy_mean: the column is missing" in message(broken)
