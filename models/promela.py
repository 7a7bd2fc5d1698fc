"""Counts of a foreign engine: bounded worlds of the job state machine, in Promela, explored by SPIN.

`models/promela/world.pml` was written after the specification and shares nothing with the machine. `count_states`
lets Debian's `spin` and `gcc` explore one `World` of it completely; the machine's own exploration of the same world
has to come to as many states. What these worlds leave out: reports/decisions/0006-foreign-engine.md.

Source: G. J. Holzmann, "The model checker SPIN", IEEE Transactions on Software Engineering 23 (1997) 279-295.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final, NamedTuple

MODEL: Final = Path(__file__).parent / "promela" / "world.pml"
PACKAGES: Final = MappingProxyType({"spin": "spin", "gcc": "gcc"})
"""The programs that are needed, and the Debian packages that have them."""

TTR_SECONDS: Final = 2
DELAY_SECONDS: Final = 1

DEPTH_FIRST: Final = 200_000
"""The first bound on the depth of the search; it is multiplied until no path is cut. A step of it is 53 bytes."""
DEPTH_FACTOR: Final = 16
LAST_DEPTH: Final = 60_000_000


REPORT: Final = """#include <stdio.h>
extern int sum_of_transitions;
__attribute__((destructor)) static void report(void) { printf("sum of transitions: %u\\n", sum_of_transitions); }
"""
"""C that SPIN's program is compiled with, so that it says at its end what the model added up."""


class EngineMissingError(RuntimeError):
    """A program of the foreign engine is not installed; the text says which, and how to get it."""


class EngineError(RuntimeError):
    """The foreign engine did not come to a result; the text is its own last line."""


def _check_bound(field: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{field} = {value!r}: the model has {least} to {most}")


@dataclass(frozen=True, slots=True)
class World:
    """The bounds of a world, and what clients may do in it. Raises `ValueError` for bounds that the model lacks.

    In all of them jobs have a ttr of 2 s, a delay of 0 or 1 s and a priority of 0 or 1; every operation is followed
    at once by a tick; a step of the clock is a second.
    """

    jobs: int  # puts in all; a deleted one is not replaced
    clients: int = 2
    tubes: int = 1  # the first is "default", which always exists; the second one comes and goes
    pause_seconds: int = 0  # the longest pause; 0: no pauses
    deadline_seconds: int | None = None  # the longest deadline of a wait; None: all wait for ever
    deadline_soon: bool = False  # holders of a job with at most a second left are warned, and wait no longer
    busy_waiters: bool = False  # a waiting client may do anything but ask again; else it can cancel only
    reserve_by_id: bool = False
    close: bool = False
    new_priorities: bool = True  # release and bury set any priority; else they keep the job's

    def __post_init__(self) -> None:
        deadline = -1 if self.deadline_seconds is None else self.deadline_seconds
        bounds = {"jobs": (1, 5), "clients": (2, 3), "tubes": (1, 2), "pause_seconds": (0, 2)}
        for field, (least, most) in bounds.items():
            _check_bound(field, getattr(self, field), least, most)
        _check_bound("deadline_seconds", deadline, -1 if self.deadline_seconds is None else 0, 2)

    def macros(self) -> dict[str, int]:
        """The macros of the model that make it this world; a feature that is off has none."""
        features = {
            "SOON": self.deadline_soon,
            "BUSY": self.busy_waiters,
            "BYID": self.reserve_by_id,
            "CLOSE": self.close,
            "NEWPRI": self.new_priorities,
        }
        return {
            "JOBS": self.jobs,
            "CLIENTS": self.clients,
            "TUBES": self.tubes,
            "TTR": TTR_SECONDS,
            "DELAY": DELAY_SECONDS,
            "PAUSE": self.pause_seconds,
            "DEADLINE": -1 if self.deadline_seconds is None else self.deadline_seconds,
            **{name: 1 for name, wanted in features.items() if wanted},
        }


WORLDS: Final[Mapping[str, World]] = MappingProxyType(
    {
        "first": World(2),
        "tubes": World(2, tubes=2),
        "pause": World(2, pause_seconds=2),
        "deadlines": World(2, deadline_seconds=2, deadline_soon=True),
        "by id": World(2, deadline_seconds=1, deadline_soon=True, busy_waiters=True, reserve_by_id=True, close=True),
        "three clients": World(2, clients=3, deadline_seconds=1, deadline_soon=True),
        "everything": World(
            2,
            tubes=2,
            pause_seconds=1,
            deadline_seconds=1,
            deadline_soon=True,
            busy_waiters=True,
            reserve_by_id=True,
            close=True,
        ),
    }
)
"""The worlds that are compared, each with two jobs; `dataclasses.replace(world, jobs=3)` makes it larger."""


class Count(NamedTuple):
    """What the engine found in a world."""

    states: int  # distinct ones
    transitions: int  # operations that are possible, over all states
    sum_of_transitions: int | None  # of (2 before + 1) (2 after + 1) modulo 2^32; None when it was not asked for
    depth: int  # the longest path of the depth-first search: of no meaning but for its memory
    seconds: float  # of the search alone
    megabytes: float
    violated: str | None = None  # the invariant's name; the counts are then of what was seen until there

    @property
    def states_per_second(self) -> float:
        """Distinct states a second of search."""
        return self.states / max(self.seconds, 0.01)  # the engine's clock has no finer step


def count_states(world: World, *, check: bool = True, optimise: int = 0, source: str | None = None) -> Count:
    """Explore the world completely; with `check` the model's invariants are asserted after every step.

    With `check` the transitions are added up, too: whoever comes to the same sum has not only as many of them, but
    the same ones. Each is (2 before + 1) (2 after + 1) modulo 2^32, where `before` and `after` are the states,
    read as digits to the base 1,000,003 in the order of `encode` in the model.

    `optimise` is the C compiler's level: 2 searches three times as fast as 0, and takes ten times as long to
    compile, which only pays above a few million transitions. `source` stands in for the text of the model.

    Raises `EngineMissingError`, `EngineError`. Some 70 bytes a state.
    """
    with TemporaryDirectory() as folder:
        return search(build(world, Path(folder), check=check, optimise=optimise, source=source))


def build(world: World, folder: Path, *, check: bool = True, optimise: int = 2, source: str | None = None) -> Path:
    """Make the program that explores the world, in the folder, and return its path. Raises as `count_states`."""
    _require_programs()
    model = folder / MODEL.name
    model.write_text(MODEL.read_text("utf-8") if source is None else source, encoding="utf-8")
    macros = {**world.macros(), **({"CHECK": 1, "SUM": 1} if check else {})}
    _run(["spin", "-a", *(f"-D{name}={value}" for name, value in macros.items()), model.name], folder)
    # No reduction: with one process there is nothing to reduce, and the count has to be of all states.
    (folder / "report.c").write_text(REPORT, encoding="utf-8")
    sources = ["pan.c", *(["report.c"] if check else [])]
    _run(["gcc", f"-O{optimise}", "-w", "-fwrapv", "-DSAFETY", "-DNOREDUCE", "-o", "pan", *sources], folder)
    return folder / "pan"


def search(program: Path) -> Count:
    """Run what `build` made. Raises `EngineError` when even the last bound on the depth cut paths."""
    depth = DEPTH_FIRST
    while depth <= LAST_DEPTH:
        output = _run([str(program), f"-m{depth}", "-w22"], program.parent)
        if "max search depth too small" not in output:
            return parse(output)
        depth *= DEPTH_FACTOR
    raise EngineError(f"spin: paths are longer than {LAST_DEPTH} steps; take a smaller world")


def parse(output: str) -> Count:
    """The result in the engine's output. Raises `EngineError` when it holds none."""
    numbers = []
    for pattern in (
        r"^\s*(\S+) states, stored",
        r"^\s*(\S+) transitions",
        r"depth reached (\d+)",
        r"elapsed time (\S+) seconds",
        r"^\s*(\S+)\s+total actual memory",
        r"errors: (\d+)",
    ):
        found = re.search(pattern, output, re.MULTILINE)
        if found is None:
            raise EngineError(f"spin: no result in its output: {_last_line(output)}")
        numbers.append(float(found[1]))
    states, transitions, depth, seconds, megabytes, errors = numbers
    transitions -= 1  # SPIN counts the first state as if a transition had led there
    violated = _violated(output) if errors else None
    total = re.search(r"^sum of transitions: (\d+)$", output, re.MULTILINE)
    sum_of_transitions = None if total is None else int(total[1])
    return Count(int(states), int(transitions), sum_of_transitions, int(depth), seconds, megabytes, violated)


def invariants() -> dict[int, str]:
    """The invariants that the model asserts, by the number that is in their text."""
    found = re.findall(r"^#define (\w+)\s+(\d+) /\* an invariant \*/$", MODEL.read_text("utf-8"), re.MULTILINE)
    return {int(number): name.lower() for name, number in found}


def _violated(output: str) -> str:
    """The name of what was violated; what is no invariant of ours (an index out of bounds, say) in SPIN's words."""
    found = re.search(r"^pan:\d+: (.*) \(at depth", output, re.MULTILINE)
    text = _last_line(output) if found is None else found[1]
    numbers = re.findall(r"\(\s*(\d+)\s*==\s*0\s*\)", text)
    return invariants()[int(numbers[-1])] if numbers else text  # a condition may have such a comparison of its own


def _require_programs() -> None:
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        raise EngineMissingError(
            f"{' and '.join(missing)}: not installed, and without {'it' if len(missing) == 1 else 'them'} SPIN can "
            f"count nothing; install: apt-get install {' '.join(missing)}"
        )


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    if done.returncode != 0:
        raise EngineError(f"{Path(command[0]).name}: {_last_line(done.stdout)}")
    return done.stdout


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
