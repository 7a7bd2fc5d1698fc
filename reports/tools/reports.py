"""Writes `reports/nasa-ipsc` from a run of the bundled log: the summary, the printed table, some figures.

    python -m reports.tools.reports

The summary and the figures depend on the scenario and its seed alone; the table's line on speed is this machine's.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "reports" / "nasa-ipsc"
FIGURES: Final = ("throughput", "queue_depth", "latency_percentiles", "typical_week")
FIGURE_BYTES_MAX: Final = 200_000


def write_reports(target: Path = TARGET) -> None:
    """Run the scenario in a temporary folder and copy what is kept."""
    with TemporaryDirectory() as temporary:
        done = subprocess.run(
            [sys.executable, "-m", "jsm", "simulate", "nasa-ipsc"],
            cwd=temporary,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        folder = Path(temporary) / "out" / "nasa-ipsc"
        target.mkdir(parents=True, exist_ok=True)
        (target / "table.txt").write_text(done.stdout, encoding="utf-8")
        shutil.copyfile(folder / "summary.json", target / "summary.json")
        run = json.loads((folder / "run.json").read_text("utf-8"))
        provenance = {key: run[key] for key in ("command", "python", "versions")}
        (target / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
        for figure in FIGURES:
            shutil.copyfile(folder / "plots" / f"{figure}.png", target / f"{figure}.png")


if __name__ == "__main__":
    write_reports()
