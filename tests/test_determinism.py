"""Equal calls and equal seeds give equal bytes, in every process and under every PYTHONHASHSEED."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.snapshot_codec import encode_snapshot, restore_snapshot
from jsm.trace import encode_trace
from models.calls import run_spec
from models.spec import Spec
from models.spec_world import Refused
from sim.results import write_result
from sim.run import Simulation
from sim.scenario import load_scenario
from tests.machines import Notes
from tests.random_calls import random_call

ROOT = Path(__file__).parent.parent
CALLS = 3_000
SHORT = ["run.duration_seconds=300", "run.warmup_seconds=20"]
"""Of the default scenario, in which everything happens now and then."""


def write_history(folder: Path, seed: int) -> None:
    """Make a random history on a machine; write its trace, its snapshot and its statistics."""
    random, spec, recorder = Random(seed), Spec(), Notes()
    machine = ObservedMachine(observer=recorder)
    for _ in range(CALLS):
        call = random_call(random, spec)
        if call.op == "reload":
            continue
        with contextlib.suppress(Refused):
            run_spec(spec, call)
        with contextlib.suppress(JsmError):
            getattr(machine, call.op)(*call.args, **call.kwargs)
    trace = "".join(f"{line}\n" for line in encode_trace(recorder.records, units_per_second=1))
    (folder / "trace.jsonl").write_text(trace, encoding="utf-8", newline="\n")
    (folder / "machine.snapshot").write_bytes(b"".join(encode_snapshot(machine.snapshot())))
    statistics = [machine.get_stats_as_yaml(machine.clock)]
    statistics += [machine.get_stats_tube_as_yaml(machine.clock, tube) for tube in machine.get_tubes()]
    (folder / "statistics.yaml").write_bytes(b"".join(statistics))


def write_run(folder: Path, seed: int) -> None:
    """Simulate for a short while; write the records and the results."""
    scenario = load_scenario("steady", [*SHORT, f"run.seed={seed}"])
    recorder = Notes()
    simulation = Simulation(scenario, recorder=recorder)
    simulation.run()
    lines = encode_trace(recorder.records, units_per_second=scenario.run.units_per_second)
    (folder / "run.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    write_result(simulation.result(), simulation.info(), folder / "results", run={}, scenario=scenario.resolved())


def written(folder: Path) -> dict[str, bytes]:
    """Every file under the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def in_process(folder: Path, *, seed: int, hash_seed: str) -> dict[str, bytes]:
    """What a process of its own writes, under the hash seed."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "tests.test_determinism", str(folder), str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return written(folder)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """One seed in two processes that hash strings differently."""
    folder = tmp_path_factory.mktemp("determinism")
    return [in_process(folder / hash_seed, seed=7, hash_seed=hash_seed) for hash_seed in ("1", "4242")]


def test_processes_that_hash_differently_write_the_same_bytes(two_processes: list[dict[str, bytes]]) -> None:
    first, second = two_processes
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_so_does_this_process(two_processes: list[dict[str, bytes]], tmp_path: Path) -> None:
    write_history(tmp_path, 7)
    write_run(tmp_path, 7)
    here = written(tmp_path)
    assert list(here) == list(two_processes[0])
    assert [name for name in here if here[name] != two_processes[0][name]] == []


def test_what_is_compared_is_worth_it(two_processes: list[dict[str, bytes]], tmp_path: Path) -> None:
    """Much happened in both; the hash seeds matter to strings; and another seed gives other bytes."""
    files = two_processes[0]
    assert {"machine.snapshot", "results/summary.json", "results/metrics/timeline.parquet"} <= files.keys()
    edges = {
        (record["source"], record["trigger"])
        for line in files["trace.jsonl"].splitlines()[1:]
        if "trigger" in (record := json.loads(line))
    }
    assert len(edges) >= 17
    summary = json.loads(files["results/summary.json"])
    assert summary["jobs"]["put"] > 1_000
    assert len([count for count in summary["transitions"]["edges"].values() if count]) >= 8
    hashes = {
        subprocess.run(
            [sys.executable, "-c", "print(hash('mail'))"], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "4242")
    }
    assert len(hashes) == 2
    write_history(tmp_path, 8)
    write_run(tmp_path, 8)
    other = written(tmp_path)
    same = [name for name in other if other[name] == files[name]]
    assert [name for name in same if name != "results/run.json"] == []  # empty here: what depends on the machine


def test_a_snapshot_of_a_restored_machine_is_the_same_bytes(two_processes: list[dict[str, bytes]]) -> None:
    taken = two_processes[0]["machine.snapshot"]
    machine = Machine()
    restore_snapshot(machine.snapshot(), [taken])
    assert b"".join(encode_snapshot(machine.snapshot())) == taken


if __name__ == "__main__":
    write_history(Path(sys.argv[1]), int(sys.argv[2]))
    write_run(Path(sys.argv[1]), int(sys.argv[2]))
