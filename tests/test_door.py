"""The door: it answers at once, imports a room only when it is used, and says what is wrong in one line."""

import sys
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from jsm import __main__ as door

ROOT = Path(__file__).parent.parent
HEAVY = ("sim.cli", "models.cli", "rich", "numpy", "networkx", "simpy", "polars", "pydantic", "matplotlib", "jinja2")


def python(code: str) -> CompletedProcess[str]:
    return run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)


def test_help_lists_every_command_without_importing_its_room() -> None:
    done = python(
        "import sys\n"
        "from jsm.__main__ import main\n"
        "code = main(['--help'])\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(loaded, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    for name in door.COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("command", list(door.COMMANDS))
def test_help_of_a_command_names_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: jsm {command}" in shown
    assert "--json" in shown
    assert "--quiet" in shown


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jsm {door.version_of_package()}\n"


def test_the_module_and_the_script_are_the_same_door() -> None:
    script = Path(sys.executable).parent / "jsm"
    ways = [[sys.executable, "-m", "jsm"], [str(script)]]
    shown = [run([*way, "graph"], capture_output=True, text=True, check=True, timeout=60).stdout for way in ways]
    assert shown[0] == shown[1]
    assert shown[0].startswith("stateDiagram-v2\n")


@pytest.mark.parametrize(
    ("arguments", "begin"),
    [
        (["--nothing"], "jsm: no such option: --nothing"),
        (["simulte"], "jsm: no such command 'simulte'"),
        (["graph", "--nothing"], "jsm graph: no such option: --nothing"),
        (["simulate", "--seed", "x"], "jsm simulate: invalid value for '--seed': "),
        (["simulate", "steady", "more"], "jsm simulate: got unexpected extra argument"),
    ],
)
def test_bad_usage_is_one_line(arguments: list[str], begin: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith(begin)  # the words after it are the parser's, and differ between its versions
    path = begin.partition(":")[0]
    assert line.endswith(f"; {path} --help lists what there is")


@pytest.mark.parametrize(("command", "lacks", "extra"), [("simulate", "simpy", "sim"), ("graph", "networkx", "check")])
def test_a_missing_extra_is_one_line_with_the_remedy(command: str, lacks: str, extra: str, tmp_path: Path) -> None:
    done = python(
        f"import sys; sys.modules[{lacks!r}] = None\n"
        "from jsm.__main__ import main\n"
        f"sys.exit(main([{command!r}] + (['--out', {str(tmp_path / 'out')!r}] if {command!r} == 'simulate' else [])))"
    )
    assert done.returncode == 2
    assert done.stdout == ""
    remedy = f"install it with: pip install 'beanstalk-jsm[{extra}]'"
    assert done.stderr == f"jsm {command}: needs {lacks}, which is not installed; {remedy}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_our_own_is_not_called_a_missing_extra() -> None:
    done = python("import sys; sys.modules['sim.cli'] = None\nfrom jsm.__main__ import main\nmain(['simulate'])")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr
