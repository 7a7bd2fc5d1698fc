"""Writes `reports/mutants.md`: the museum of mutants, and which check finds which.

    python -m reports.tools.mutants [--check]

It takes two minutes. The report depends on the machine, the checks, the museum and the version of Hypothesis alone.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from tests.mutants.catches import EXAMPLES, by_explorer, by_hypothesis, by_invariants, by_lockstep, by_watcher
from tests.mutants.exhibit import Exhibit
from tests.mutants.museum import EXHIBITS, OUT_OF_REACH, OUTSIDE
from tests.mutants.scopes import ROOMS, UNEXPLORED

TARGET: Final = Path(__file__).parents[2] / "reports" / "mutants.md"


def mutants_text() -> str:
    """The whole report."""
    lines = [
        "# The museum of mutants",
        "",
        "Written by `python -m reports.tools.mutants`. Each row is a machine with one planted fault",
        "(`tests/mutants/`), and what each check says of it when it is asked alone. The explorer is given the small",
        "scope that is named first, and no history (`walk`: a random walk); the others are given the shortest",
        f"history (below). Hypothesis is given {EXAMPLES} histories of its own making, of 15 to 50 calls.",
        "",
        "| # | fault | clauses | explorer | invariant | lock-step | watcher | Hypothesis |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(exhibit) for exhibit in EXHIBITS),
        "",
        "## Worlds that are explored",
        "",
        "In each of them the machine without a fault holds.",
        "",
        "| name | world | operations |",
        "| --- | --- | --- |",
        *(_cells([name, room.text(), ", ".join(room.operations)]) for name, room in ROOMS.items()),
        "",
        "| not explored | why |",
        "| --- | --- |",
        *(_cells([number, why]) for number, why in UNEXPLORED.items()),
        "",
        "## Rows that no machine can have",
        "",
        "| # | why |",
        "| --- | --- |",
        *(f"| {number} | {why} |" for number, why in OUT_OF_REACH.items()),
        "",
        "## Rows on the wire and in the journal",
        "",
        "Who catches them there; what a machine can have of them is above.",
        "",
        "| # | fault | test |",
        "| --- | --- | --- |",
        *(_cells([number, fault, f"`tests/{test}`"]) for number, (fault, test) in OUTSIDE.items()),
        "",
        "## Where the faults come from, and how they are planted",
        "",
        "| # | source | machine | planted | shortest history |",
        "| --- | --- | --- | --- | --- |",
        *(_origin(exhibit) for exhibit in EXHIBITS),
    ]
    return "\n".join(lines) + "\n"


def _row(exhibit: Exhibit) -> str:
    checks = (by_explorer, by_invariants, by_lockstep, by_watcher, by_hypothesis)
    found = [check(exhibit) for check in checks]
    return _cells([exhibit.number, exhibit.bug, exhibit.clauses, *(f"`{each}`" if each else "–" for each in found)])


def _origin(exhibit: Exhibit) -> str:
    history = " · ".join(f"`{call}`" for call in exhibit.calls)
    return _cells([exhibit.number, exhibit.source, f"`{exhibit.name}`", exhibit.planted, history])


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def main() -> int:
    """Run the command line; exit code 1 when a check found the report stale."""
    parser = argparse.ArgumentParser(description="Write the report of the museum of mutants.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the report is stale")
    check = parser.parse_args().check
    text = mutants_text()
    stale = not TARGET.exists() or TARGET.read_text("utf-8") != text
    if check and stale:
        sys.stderr.write("reports/mutants.md is stale; write it anew: python -m reports.tools.mutants\n")
    elif stale:
        TARGET.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
