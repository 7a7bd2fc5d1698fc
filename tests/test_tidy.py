"""The house rules that no tool checks: lengths, docstrings, words that don't belong, places for things."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("jsm", "sim", "models")
FOLDERS = (*ROOMS, "tests", "reports")
UNREAD = {".git", ".venv", "out", "build", "dist", "__pycache__"}
"""What is no part of the project; folders whose name begins with a dot count as tools' caches, `.ci` excepted."""

LINES_MAX = 420  # "about 400"
FUNCTION_LINES_MAX = 70

LONGER_FILES = {
    "jsm/machine.py": "one method an operation of the interface, each a few lines over the one state",
    "models/spec.py": "the whole of the second implementation, to be read in one go beside the rules it repeats",
    "sim/scenario_models.py": "every key of a scenario with its description, bound and default: a reference",
    "tests/rules_jobs.py": "one history a rule: a list, which cutting would only scatter",
    "tests/test_clients_greenstalk.py": "one word of a client's vocabulary after the other, over the same fixtures",
    "tests/test_renderings.py": "one form after the other, over the same few counterexamples",
    "tests/test_scenario.py": "one wrong scenario after the other, with the line that it gets",
    "tests/test_snapshot_codec.py": "one damage of a file after the other, with the line that it gets",
}
"""Files above `LINES_MAX`, with the reason why each is one idea all the same."""

ABOUT_THE_WHOLE = {
    "analytic",
    "cli",
    "clients",
    "complexity",
    "determinism",
    "door",
    "fuzz",
    "lockstep",
    "nasa",
    "nothing_lost",
    "packaging",
    "readme",
    "refusals",
    "representations",
    "seed_map",
    "stateful",
    "tidy",
}
"""What test files may be about beside a module."""

TEXT_SUFFIXES = {
    ".css",
    ".csv",
    ".html",
    ".j2",
    ".json",
    ".lock",
    ".md",
    ".pml",
    ".mmd",
    ".py",
    ".svg",
    ".swf",
    ".toml",
    ".txt",
}
TEXT_NAMES = {"Makefile", "LICENSE", "run", "py.typed", ".gitignore", ".editorconfig"}

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError|pytest\.(mark\.)?(skip|xfail)")
FOREIGN = {
    "a path of one machine": re.compile(r"/(work|root|home)/[A-Za-z.]"),
    "a package registry": re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|(?<!no-emit-)index-url\b"),
}


@cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project: what git would keep where there is a repository, else all that is no cache."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0 and (ROOT / ".git").exists():
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not _is_cached(path.relative_to(ROOT))]
    return tuple(sorted(path for path in found if path.is_file()))


def _is_cached(path: Path) -> bool:
    return any(part in UNREAD or (part.startswith(".") and part != ".ci") for part in path.parts[:-1])


def modules(*folders: str) -> list[Path]:
    """The Python files of the folders."""
    return [path for path in project_files() if path.suffix == ".py" and _folder(path) in folders]


def texts() -> list[Path]:
    """What people read, without this file, which names what it looks for."""
    return [
        path
        for path in project_files()
        if (path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES) and path != Path(__file__)
    ]


def _folder(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def name_of(path: Path) -> str:
    """The path from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def undocumented(tree: ast.Module, where: str) -> list[str]:
    """Public classes and functions, and public methods of public classes, without a docstring."""
    missing = []
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None:
            missing.append(f"{where}: {node.name}")
        if isinstance(node, ast.ClassDef):
            missing += [
                f"{where}: {node.name}.{method.name}"
                for method in node.body
                if isinstance(method, Function)
                and not method.name.startswith("_")
                and ast.get_docstring(method) is None
            ]
    return missing


def imported(tree: ast.Module) -> set[str]:
    """The first parts of the names of all modules that are imported, wherever in the file."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def relative_links(markdown: str) -> list[str]:
    """The targets of links to files, those in blocks of code left out."""
    prose = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose) if "://" not in target]


# ---------------------------------------------------------------------- lengths and docstrings


def test_files_are_short_or_say_why_not() -> None:
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in modules(*FOLDERS)}
    long = {name for name, lines in lengths.items() if lines > LINES_MAX}
    assert sorted(long - set(LONGER_FILES)) == [], "cut these, or say in LONGER_FILES why they are one idea"
    assert sorted(set(LONGER_FILES) - set(lengths)) == [], "these are gone: take them out of LONGER_FILES"


def test_functions_are_short() -> None:
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in modules(*FOLDERS)
        for node in functions(tree_of(path))
        if (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        name_of(path)
        for path in modules(*FOLDERS)
        if ast.get_docstring(tree_of(path)) is None and path.read_text("utf-8").strip()
    ]
    assert silent == []


@pytest.mark.parametrize("room", ["jsm", "models", "reports"])
def test_everything_public_has_a_docstring(room: str) -> None:
    missing = [each for path in modules(room) for each in undocumented(tree_of(path), name_of(path))]
    assert missing == []


def test_every_function_of_the_rooms_has_types() -> None:
    """Mypy checks the types themselves; this one also sees what `Any` by omission would be in tests and tools."""
    bare = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in modules(*FOLDERS)
        for node in functions(tree_of(path))
        if node.returns is None and node.name != "__init__"
    ]
    assert bare == []


# ---------------------------------------------------------------------- places


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    drawers = {"utils.py", "util.py", "misc.py", "common.py", "helper.py"}
    assert [name_of(path) for path in project_files() if path.name in drawers] == []


def test_tests_have_the_name_of_what_they_test() -> None:
    """`test_X` or `test_X_more` for a module `X` or an underscored `_X`; a few are about the whole."""
    subjects = {path.stem.strip("_") for path in modules(*ROOMS, "reports")} | ABOUT_THE_WHOLE
    strangers = [
        name_of(path)
        for path in modules("tests")
        if path.name.startswith("test_")
        and path.parent.name == "tests"
        and not any(f"{path.stem}_".startswith(f"test_{subject}_") for subject in subjects)
    ]
    assert strangers == [], "name a test file for its module, or add what it is about to ABOUT_THE_WHOLE"


def test_the_machine_imports_the_standard_library_and_itself() -> None:
    allowed = sys.stdlib_module_names | {"jsm"}
    more = {
        "jsm/__main__.py": {"typer", "sim", "models"},
        "jsm/engines.py": {"joblib", "distributed"},
        "jsm/wire/cli.py": {"typer"},
        "jsm/wire/looping.py": {"uvloop"},
    }
    for path in modules("jsm"):
        strange = imported(tree_of(path)) - allowed - more.get(name_of(path), set())
        assert strange == set(), f"{name_of(path)} imports {sorted(strange)}"


def test_the_specification_imports_the_standard_library_and_itself() -> None:
    parts = [path for path in modules("models") if path.stem.split("_")[0] == "spec"]
    own = {f"models.{path.stem}" for path in parts}
    assert own >= {"models.spec", "models.spec_world"}
    for path in parts:
        for node in ast.walk(tree_of(path)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name in own or name.split(".")[0] in sys.stdlib_module_names, f"{name_of(path)} imports {name}"


# ---------------------------------------------------------------------- words


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in texts()
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("what", FOREIGN)
def test_the_project_speaks_of_itself_alone(what: str) -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()[:120]}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if FOREIGN[what].search(line)
    ]
    assert found == []


def test_texts_end_with_a_line_feed_and_lines_with_no_blank() -> None:
    wrong = []
    for path in texts():
        content = path.read_bytes()
        if name_of(path).startswith("tests/data/"):
            continue  # as it came, or wrong on purpose
        if content and (not content.endswith(b"\n") or content.endswith(b"\n\n") or b"\r" in content):
            wrong.append(f"{name_of(path)}: its end")
        if path.suffix in {".py", ".md", ".toml"}:
            wrong += [
                f"{name_of(path)}:{number}: blanks at the end"
                for number, line in enumerate(content.decode("utf-8").splitlines(), start=1)
                if line != line.rstrip()
            ]
    assert wrong == []


def test_the_lock_pins_everything_with_hashes_and_names_no_place() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE))
    assert len(entries) > 50
    loose = [entry.split()[0] for entry in entries if "==" not in entry.split()[0] or "--hash=sha256:" not in entry]
    assert loose == []
    assert "://" not in lock


def test_the_lock_has_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.split(r"[\[>=<~! ]", each)[0].lower() for each in wanted} - {project["name"]}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    assert sorted(names - locked) == [], "write the lock anew: make lock"


def test_decisions_are_numbered_without_gap_and_listed() -> None:
    folder = ROOT / "reports" / "decisions"
    names = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    index = (folder / "README.md").read_text("utf-8")
    for name in names:
        title = (folder / name).read_text("utf-8").splitlines()[0]
        assert title.startswith(f"# {name[:4]}: "), name
        assert f"[{name[:4]}]({name})" in index, f"{name} is missing in reports/decisions/README.md"


def test_links_of_the_documents_lead_somewhere() -> None:
    broken = [
        f"{name_of(path)}: {target}"
        for path in project_files()
        if path.suffix == ".md"
        for target in relative_links(path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_make_and_ci_agree() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        named = set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / document).read_text("utf-8"), re.MULTILINE))
        assert named <= targets, f"{document} names {sorted(named - targets)}"
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=False).returncode == 0
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


# ---------------------------------------------------------------------- the checks notice


def test_checks_notice_planted_faults(tmp_path: Path) -> None:
    tree = ast.parse("class Open:\n    def bare(self): ...\ndef free(): ...\ndef _own(): ...\n")
    assert undocumented(tree, "m") == ["m: Open", "m: Open.bare", "m: free"]
    assert imported(ast.parse("def f():\n    import numpy.random\n    from os import path\n")) == {"numpy", "os"}
    assert UNFINISHED.search("x = 1  # TODO later")
    assert UNFINISHED.search("@pytest.mark.skip")
    assert FOREIGN["a path of one machine"].search("see /home/me/x")
    assert FOREIGN["a package registry"].search("--index-url x")
    assert not FOREIGN["a package registry"].search("--no-emit-index-url")
    assert relative_links("[a](b.md#c) [d](https://e) ```[f](g)```") == ["b.md"]
