"""The folder of a sweep: a file for each finished cell, and at the end all of them as one document and one table.

Every file is there whole or not at all. A cell's file is named by everything that its numbers depend on: the same
command again finds what it left, and a wider grid uses what an earlier one has made.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import polars as pl

from sim.logs import log_path
from sim.results import OutputError, rounded, write_table
from sim.run_facts import version_of
from sim.scenario_models import Scenario

FORMAT: Final = 1
_CELLS: Final = "cells"
_DIGEST_BYTES: Final = 16


def digest_of(scenario: Scenario, asked: Mapping[str, Any]) -> str:
    """The name of a cell: a digest of the scenario, its logs, what else was asked for, and the project's version."""
    logs = {
        producer.arrivals.file: _digest_of_file(log_path(producer.arrivals.file, scenario.directory))
        for producer in scenario.producers
        if producer.arrivals.kind == "trace"
    }
    whole = {
        "format": FORMAT,
        "version": version_of("beanstalk-jsm"),
        "scenario": scenario.resolved(),
        "logs": logs,
        "asked": dict(asked),
    }
    text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _digest_of_file(path: Path) -> str:
    """Empty for a file that can't be read; the run says what is wrong with it."""
    try:
        return blake2b(path.read_bytes()).hexdigest()
    except OSError:
        return ""


class SweepFolder:
    """Reads and writes it. Raises `OutputError` where that fails, at once for a folder that holds something else."""

    def __init__(self, path: Path, document: str) -> None:
        self.path = path
        self._document = document
        try:
            if path.is_dir() and any(path.iterdir()) and not (path / _CELLS).is_dir():
                problem = "holds files but no cells/ of an earlier sweep, so nothing there is overwritten"
                raise OutputError(str(path), "", None, problem, "name another folder with --out, or empty this one")
            (path / _CELLS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._explained(error) from None

    def cell(self, digest: str) -> dict[str, Any] | None:
        """What a finished cell's file holds; None when it is not there, or is damaged."""
        try:
            cell = json.loads(self._file(digest).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cell if isinstance(cell, dict) and cell.get("format") == FORMAT else None

    def keep(self, digest: str, cell: Mapping[str, Any]) -> dict[str, Any]:
        """Write a finished cell; what is returned is what will be read."""
        kept: dict[str, Any] = rounded({"format": FORMAT, **cell})
        self._write(self._file(digest), lambda path: path.write_text(_text(kept), encoding="utf-8", newline="\n"))
        return kept

    def finish(self, document: Mapping[str, Any], table: pl.DataFrame) -> Path:
        """Write the whole as JSON and as a table; the JSON file's path."""
        whole = rounded({"format": FORMAT, **document})
        self._write(self.path / f"{self._document}.parquet", lambda path: write_table(path, table))
        file = self.path / f"{self._document}.json"
        self._write(file, lambda path: path.write_text(_text(whole), encoding="utf-8", newline="\n"))
        return file

    def _file(self, digest: str) -> Path:
        return self.path / _CELLS / f"{digest}.json"

    def _write(self, file: Path, write: Callable[[Path], object]) -> None:
        """Write beside the file first, and rename."""
        partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
        try:
            write(partial)
            partial.replace(file)
        except OSError as error:
            raise self._explained(error) from None
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _explained(self, error: OSError) -> OutputError:
        problem = f"can't be written: {error.strerror or error}"
        return OutputError(str(self.path), "", None, problem, "name another folder with --out")


def table_of(keys: Sequence[str], cells: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A row for each cell: the keys' values, the replications, and three columns for each measure."""
    columns: dict[str, pl.Series] = {}
    for key in keys:
        values = [cell["settings"][key] for cell in cells]
        columns[key] = _series(values)
    columns["replications"] = pl.Series([cell["replications"] for cell in cells], dtype=pl.Int64)
    for name in cells[0]["measures"] if cells else ():
        found = [cell["measures"][name] or {} for cell in cells]
        for end, column in (("estimate", name), ("low", f"{name}.low"), ("high", f"{name}.high")):
            columns[column] = pl.Series([each.get(end) for each in found], dtype=pl.Float64)
    return pl.DataFrame(columns)


def _series(values: Sequence[str]) -> pl.Series:
    """Whole numbers, numbers, or texts: whatever all of them are."""
    for kind, dtype in ((int, pl.Int64), (float, pl.Float64)):
        with suppress(ValueError, OverflowError):
            return pl.Series([kind(value) for value in values], dtype=dtype)
    return pl.Series(values, dtype=pl.String)


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
