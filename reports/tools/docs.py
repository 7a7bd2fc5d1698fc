"""Writes the generated parts of the documents, or says which are stale.

    python -m reports.tools.docs [--check]

In `README.md`, what stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->` comes from here. The
published schema of scenarios is written too.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from models.diagram import DiagramFormat, render
from sim.scenario import SCENARIO_FOLDER, SCHEMA_FILE, bundled_scenarios, load_scenario, schema_text

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"


def _diagram() -> str:
    return _fenced("mermaid", render(DiagramFormat.MERMAID).decode("utf-8"))


def _nasa_table() -> str:
    return _fenced("text", (ROOT / "reports" / "nasa-ipsc" / "table.txt").read_text("utf-8"))


def _scenario_example() -> str:
    return _fenced("toml", (SCENARIO_FOLDER / "priorities.toml").read_text("utf-8"))


def _scenarios() -> str:
    rows = [f"| `{name}` | {load_scenario(name).description} |" for name in bundled_scenarios()]
    return "\n".join(["| name | what |", "| --- | --- |", *rows])


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "state diagram": _diagram,
    "nasa-ipsc": _nasa_table,
    "scenario": _scenario_example,
    "scenarios": _scenarios,
}
"""The generated parts of the README, by name."""


def with_parts(document: str) -> str:
    """The document with every generated part made anew. Raises `ValueError` when the place of one is missing."""
    for name, make in PARTS.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
        place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(place.findall(document)) != 1:
            raise ValueError(f"README.md has not exactly one place for {name}; write {begin} and {end}")
        content = f"{begin}\n{make()}\n{end}"
        document = place.sub(lambda _, content=content: content, document)  # type: ignore[misc]
    return document


def stale_files() -> dict[Path, str]:
    """The files that are not what they should be, with what that is."""
    wanted = {README: with_parts(README.read_text("utf-8")), SCHEMA_FILE: schema_text()}
    return {path: text for path, text in wanted.items() if path.read_text("utf-8") != text}


def main() -> int:
    """Run the command line; exit code 1 when a check found something stale."""
    parser = argparse.ArgumentParser(description="Write the generated parts of the documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when something is stale")
    check = parser.parse_args().check
    stale = stale_files()
    for path, text in stale.items():
        if check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale; write it anew: make docs\n")
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


if __name__ == "__main__":
    sys.exit(main())
