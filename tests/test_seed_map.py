"""The map of names in jsm/README.md is complete on both sides, and every Python path in it leads somewhere."""

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import jsm.errors
import jsm.heaps
import jsm.interface
import jsm.job
import jsm.reservations
import jsm.states
from jsm.machine import Machine
from jsm.snapshot import MachineSnapshot

ROOT = Path(__file__).parent.parent
SEED = (ROOT / "tests" / "data" / "seed-interface.txt").read_text("utf-8")
README = (ROOT / "jsm" / "README.md").read_text("utf-8")

MODULES = (jsm.errors, jsm.heaps, jsm.interface, jsm.job, jsm.reservations, jsm.states)
"""The modules whose every public name stands in the map or in the list of what is beyond the seed."""

FIELD_TYPES = r"string|bool|int|int32|int64|error|\[\]byte|\[\]TubeName|ClientID|JobID|ReservationStatus"
MUTATORS = re.compile(r"Job\.(Update|Reset|Inc)\w+")


# ---------------------------------------------------------------------- the seed's side


def seed_names(seed: str) -> list[str]:
    """Every public name of the seed's documentation, those inside a type as `Type.Name`."""
    names = re.findall(r"\b(Err\w+) = errors\.New", seed)
    index = seed[seed.index("Index ¶") : seed.index("Constants ¶")]
    names += re.findall(r"^- type (\w+)$", index, re.MULTILINE)
    names += re.findall(r"^- func (\w+)", index, re.MULTILINE)
    names += re.findall(r"^func ([A-Z]\w*)\(", seed, re.MULTILINE)
    names += [f"{owner}.{name}" for owner, name in re.findall(r"^func \(\w* ?\*?(\w+)\) (\w+)\(", seed, re.MULTILINE)]
    [block] = re.findall(r"^const \( (.*) \)$", seed, re.MULTILINE)
    names += block.replace(" ReservationStatus = iota", "").split()
    for owner, body in re.findall(r"^type (\w+) interface \{(.*)\}$", seed, re.MULTILINE):
        names += [f"{owner}.{name}" for name in re.findall(r"\b([A-Z]\w*)\(", body)]
    for owner, body in re.findall(r"type (\w+) struct \{([^}]*)\}", seed):
        names += [f"{owner}.{name}" for name, _ in re.findall(rf"\b([A-Z]\w*) ({FIELD_TYPES})\b", body)]
        names += [f"{owner}.{name}" for name in re.findall(r"^ ([A-Z]\w*) //", body)]  # an embedded type
    return list(dict.fromkeys(names))


# ---------------------------------------------------------------------- our side


def table_rows(readme: str, heading: str) -> Iterator[list[str]]:
    """The cells of the table under a heading, row by row, without its two header rows."""
    section = readme.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    for row in rows[2:]:
        yield [cell.strip() for cell in row.strip("|").split("|")]


def paths_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def resolves(path: str) -> bool:
    """Whether a dotted path leads from a module to an attribute; a field of an exception lies on its instances."""
    parts = path.split(".")
    try:
        found: object = importlib.import_module(".".join(parts[:2]))
    except ModuleNotFoundError:
        return False
    for part in parts[2:]:
        if found is jsm.errors.ResultError and not hasattr(found, part):
            found = jsm.errors.ResultError("request", 1, ValueError("cause"))
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return len(parts) > 2


def public_names(module: ModuleType) -> list[str]:
    """The dotted paths of the classes, functions and new types of a module, methods of the two interfaces included."""
    names = []
    for name, thing in vars(module).items():
        defined_here = getattr(thing, "__module__", None) == module.__name__ and hasattr(thing, "__name__")
        if name.startswith("_") or not defined_here:
            continue
        names.append(f"{module.__name__}.{name}")
        if thing in (jsm.interface.JSM, jsm.interface.JSMSnapshot):
            names += [f"{module.__name__}.{name}.{member}" for member in vars(thing) if not member.startswith("_")]
    return names


def problems(seed: str, readme: str) -> list[str]:
    """What is wrong with the map, one text a fault."""
    rows = list(table_rows(readme, "The map of names"))
    mapped = Counter(paths_in(row[0])[0] for row in rows)
    expected = seed_names(seed)
    found = [f"{name} is mapped {times} times" for name, times in mapped.items() if times > 1]
    found += [f"{name} of the seed is not in the map" for name in expected if name not in mapped]
    found += [f"{name} of the map is not in the seed" for name in mapped if name not in expected]
    known: list[str] = []
    counterparts: list[str] = []
    for name, paths in ((paths_in(row[0])[0], paths_in(row[1])) for row in rows):
        known += paths
        if not paths:
            found.append(f"{name} has no Python path")
        if not MUTATORS.fullmatch(name):
            counterparts += paths
        elif not all(path.startswith("jsm.interface.JSM.") for path in paths):
            found.append(f"{name} is not mapped to operations")
    beyond = [path for row in table_rows(readme, "Beyond the seed") for path in paths_in(row[0])]
    found += [f"{path} is both mapped and beyond the seed" for path in beyond if path in counterparts]
    known += beyond
    found += [f"{path} does not resolve" for path in dict.fromkeys(known) if not resolves(path)]
    found += [f"{name} is in neither table" for module in MODULES for name in public_names(module) if name not in known]
    return found


# ---------------------------------------------------------------------- the tests


def test_the_map_is_complete_on_both_sides() -> None:
    assert problems(SEED, README) == []


def test_the_seed_is_read_to_its_last_name() -> None:
    names = seed_names(SEED)
    owners = Counter(name.split(".")[0] for name in names if "." in name)
    assert owners == {
        "ClientResvEntry": 7,
        "JSM": 21,
        "JSMSnapshot": 5,
        "Job": 31,
        "JobEntry": 1,
        "JobHeap": 6,
        "Reservation": 8,
        "ResultError": 5,
    }
    plain = [name for name in names if "." not in name]
    assert sum(name.startswith("Err") and name != "Error" for name in plain) == 12
    assert sum(name.startswith("New") for name in plain) == 5
    assert {"Unknown", "Queued", "DeadlineSoon", "Matched", "Timeout", "Error"} <= set(plain)
    assert len(plain) == 12 + 19 + 5 + 6 + 1  # errors, types, constructors, constants, GetStatistics


@pytest.mark.parametrize(
    ("interface", "implementation"), [(jsm.interface.JSM, Machine), (jsm.interface.JSMSnapshot, MachineSnapshot)]
)
def test_the_machine_has_every_operation_with_the_interfaces_parameters(interface: type, implementation: type) -> None:
    for name, member in vars(interface).items():
        if name.startswith("_"):
            continue
        assert hasattr(implementation, name), name
        if inspect.isfunction(member):
            theirs = inspect.signature(getattr(implementation, name)).parameters
            assert [(p.name, p.kind, p.default) for p in theirs.values()] == [
                (p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()
            ], name


ROW = "| `JSM.Put` | `jsm.interface.JSM.put` | the body's size is its length |\n"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (ROW, "", "JSM.Put of the seed is not in the map"),
        (ROW, ROW + "| `JSM.Pull` | `jsm.interface.JSM.put` | |\n", "JSM.Pull of the map is not in the seed"),
        (ROW, ROW + ROW, "JSM.Put is mapped 2 times"),
        (ROW, ROW.replace("JSM.put", "JSM.push"), "jsm.interface.JSM.push does not resolve"),
        (ROW, ROW.replace("interface", "interfaces"), "jsm.interfaces.JSM.put does not resolve"),
        (ROW, ROW.replace("`jsm.interface.JSM.put`", "put"), "JSM.Put has no Python path"),
        ("ResultError.error_code", "ResultError.code", "jsm.errors.ResultError.code does not resolve"),
        (
            "`jsm.interface.JSM.tick` | |",
            "`jsm.job.JobView.timeouts` | |",
            "Job.IncTimeoutCount is not mapped to operations",
        ),
        ("| `jsm.errors.StoppedError` |", "| StoppedError |", "jsm.errors.StoppedError is in neither table"),
        ("| `jsm.interface.JSM.clock` |", "| clock |", "jsm.interface.JSM.clock is in neither table"),
        (
            "| `jsm.interface.JSM.clock` |",
            "| `jsm.interface.JSM.clock`, `jsm.interface.JSM.put` |",
            "jsm.interface.JSM.put is both mapped and beyond the seed",
        ),
    ],
)
def test_a_fault_in_the_map_is_found(old: str, new: str, fault: str) -> None:
    assert old in README
    assert fault in problems(SEED, README.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Kick(jobID JobID) error", "KickAll(jobID JobID) error", "JSM.KickAll of the seed is not in the map"),
        ("Len() int", "len() int", "JobHeap.Len of the map is not in the seed"),
        ("ReqID string", "ReqName string", "ClientResvEntry.ReqName of the seed is not in the map"),
        ("ErrCancel = errors.New", "ErrGone = errors.New", "ErrGone of the seed is not in the map"),
        (" Matched ", " Found ", "Found of the seed is not in the map"),
        ("func NewBuriedJobs()", "func NewJobs()", "NewBuriedJobs of the map is not in the seed"),
        ("- type TubeName", "- type Tube", "Tube of the seed is not in the map"),
        ("(r *ResultError) Unwrap()", "(r *ResultError) Wrap()", "ResultError.Wrap of the seed is not in the map"),
    ],
)
def test_a_name_that_the_seed_had_in_addition_is_found(old: str, new: str, fault: str) -> None:
    assert old in SEED
    assert fault in problems(SEED.replace(old, new), README)


def test_the_readmes_example_runs() -> None:
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "jsm/README.md", "exec"), {})


def test_the_readmes_files_exist() -> None:
    files = [name for row in table_rows("\n## x\n" + README, "x") for name in paths_in(row[0])]
    assert len(files) > 10
    assert [name for name in files if not (ROOT / "jsm" / name).is_file()] == []
