"""Changes the core one token at a time and asks the tests: writes `reports/mutmut.md`.

    python -m reports.tools.mutmut [--children N] [--tree DIR]

mutmut makes the changes (`[tool.mutmut]` in pyproject.toml) in a copy of the tree. It takes half an hour on an idle
core. Exit code 1 when fewer than 95 % are noticed, or a survivor is not explained in `reports/tools/survivors.py`.
`--tree` names a copy in which mutmut has run already, or has begun to: what is known there is not run again.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from reports.tools.survivors import reason_of

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "reports" / "mutmut.md"
SHARE_MIN: Final = 0.95
_MUTMUT: Final = Path(sys.executable).with_name("mutmut")
_NOTICED: Final = ("killed", "timeout", "segfault")


class Survivor(NamedTuple):
    """A change that no test noticed."""

    file: str
    function: str
    before: str
    after: str

    @property
    def reason(self) -> str | None:
        """Why it can't be noticed, or need not be."""
        return reason_of(self.function, self.after)


def copy_tree(target: Path) -> None:
    """Copy what git keeps, or would keep, of the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def run(tree: Path, children: int) -> None:
    """Make all changes that are not known yet, `children` at a time."""
    subprocess.run(["nice", str(_MUTMUT), "run", "--max-children", str(children)], cwd=tree, check=False)


def statuses(tree: Path) -> dict[str, str]:
    """How each change ended, by mutmut's name of it."""
    text = _asked(tree, "results", "--all", "true")
    return dict(re.findall(r"^\s+(\S+): (.+)$", text, re.MULTILINE))


def survivors(tree: Path, results: Mapping[str, str]) -> list[Survivor]:
    """The changes that were not noticed, by file and function."""
    found = []
    for name, status in results.items():
        if status in _NOTICED:
            continue
        shown = _asked(tree, "show", name)
        lines = {sign: re.findall(rf"^\{sign} *(.*)$", shown, re.MULTILINE) for sign in "-+"}
        removed = [line for line in lines["-"] if not line.startswith("--")]
        added = [line for line in lines["+"] if not line.startswith("++")]
        found.append(Survivor(_file_of(name), _function_of(name), " ".join(removed), " ".join(added)))
    return sorted(found)


def text_of(results: Mapping[str, str], left: Sequence[Survivor]) -> str:
    """The report."""
    made = Counter(_file_of(name) for name in results)
    noticed = Counter(_file_of(name) for name, status in results.items() if status in _NOTICED)
    share = sum(noticed.values()) / max(sum(made.values()), 1)
    return "\n".join(
        [
            "# Changes of one token",
            "",
            f"Written by `python -m reports.tools.mutmut` (mutmut {version('mutmut')}). It changes the core one token",
            "at a time, and asks the tests that pyproject.toml names under `[tool.mutmut]` whether they notice.",
            "",
            f"{sum(made.values())} changes, {sum(noticed.values())} noticed: {share:.1%}.",
            "",
            "| file | changes | noticed | share |",
            "| --- | --- | --- | --- |",
            *(
                f"| `{file}` | {made[file]} | {noticed[file]} | {noticed[file] / made[file]:.1%} |"
                for file in sorted(made)
            ),
            "",
            "## What survives, and why",
            "",
            "| function | before | after | why |",
            "| --- | --- | --- | --- |",
            *(_row(survivor) for survivor in left),
            "",
        ]
    )


def _row(survivor: Survivor) -> str:
    place = f"`{survivor.file}`: `{survivor.function}`"
    cells = [place, f"`{survivor.before}`", f"`{survivor.after}`", survivor.reason or "**not explained**"]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _asked(tree: Path, *command: str) -> str:
    done = subprocess.run([_MUTMUT, *command], cwd=tree, capture_output=True, encoding="utf-8", check=True)
    return done.stdout


def _file_of(name: str) -> str:
    return f"{name.partition('.x')[0].replace('.', '/')}.py"


def _function_of(name: str) -> str:
    """`Machine.put` for mutmut's `jsm.machine.xǁMachineǁput__mutmut_7`."""
    inner = name.partition(".x")[2].partition("__mutmut_")[0]
    return inner.removeprefix("_").strip("ǁ").replace("ǁ", ".")


def main() -> int:
    """Run the command line; exit code 1 when too much survives, or a survivor is not explained."""
    parser = argparse.ArgumentParser(description="Change the core one token at a time and ask the tests.")
    parser.add_argument("--children", type=int, default=1, help="how many changes are tried at a time")
    parser.add_argument("--tree", type=Path, help="a copy of the tree to go on in, and to leave")
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        tree = Path(temporary) if given.tree is None else given.tree
        if not (tree / "pyproject.toml").exists():
            tree.mkdir(parents=True, exist_ok=True)
            copy_tree(tree)
        run(tree, given.children)
        results = statuses(tree)
        left = survivors(tree, results)
    TARGET.write_text(text_of(results, left), encoding="utf-8")
    unexplained = [survivor for survivor in left if survivor.reason is None]
    for survivor in unexplained:
        sys.stderr.write(f"{survivor.file}, {survivor.function}: not explained: {survivor.after}\n")
    share = 1 - len(left) / max(len(results), 1)
    return 1 if unexplained or share < SHARE_MIN else 0


if __name__ == "__main__":
    sys.exit(main())
