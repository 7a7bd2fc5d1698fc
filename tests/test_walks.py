"""Random walks: the same in any number of processes, busy, checked, and able to find what takes a long history."""

import json
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

import models.walks
import models.walks_run
from jsm.interface import JSMSnapshot
from jsm.job import JobView, TubeName
from jsm.machine import Machine
from jsm.snapshot_codec import restore_snapshot
from models.calls import Call
from models.check_report import options_of, told_of_walks
from models.check_result import UNDETERMINED, VIOLATED
from models.explorer import explore
from models.scope import SCOPES
from models.walks import WalksInterrupted, WalksResult
from models.walks_choice import Chooser, Steps
from models.walks_run import CONTAINERS, DEEP, INVARIANTS, LOOKS, STATE, Stumble, Trip, Walker, run_walk
from tests.long_faults import SIMPLE, IdsWrap, codes_of

ROOT = Path(__file__).parent.parent
walk = partial(models.walks.walk, share_states_max=0)
LARGE = SCOPES["large"]


def without_speed(result: WalksResult) -> dict[str, Any]:
    """All that a swarm came to but how long it took."""
    document = result.document()
    for name in ("seconds", "states_per_second"):
        del document[name]
    del document["walks"]["steps_per_second"]
    return {**document, "counterexample": result.counterexample, "prints": (result.states, result.edges)}


# ---------------------------------------------------------------------- what a swarm says


def test_walks_find_nothing_in_the_machine_and_prove_nothing() -> None:
    result = walk(LARGE, walks=5, steps=1_500)
    document = result.document()
    assert (result.verdict, document["why"]) == (UNDETERMINED, "random walks prove nothing")
    assert (result.walks, result.steps, result.failed) == (5, 7_500, None)
    assert all(document["coverage"]["edges"].values())
    assert document["coverage"]["edge_pairs"]["met"] > 60
    assert document["transitions"] + document["refused"] == 7_500
    assert document["states"] > 2_500
    assert set(document["walks"]["checked_closely"]) == set(DEEP)
    text = told_of_walks("large", result, None)["text"]
    assert text.startswith("large: undetermined: nothing was found in 5 walks of seed 0, 7,500 steps, ")


def test_walks_are_the_same_in_one_process_and_in_two() -> None:
    one, two = (walk(LARGE, walks=4, steps=400, seed=3, processes=number) for number in (1, 2))
    assert without_speed(one) == without_speed(two)


def test_a_fault_is_the_same_in_one_process_and_in_two() -> None:
    one, two = (walk(SIMPLE, walks=6, steps=400, make_machine=IdsWrap, processes=number) for number in (1, 2))
    assert one.verdict == VIOLATED
    assert without_speed(one) == without_speed(two)


def test_walks_are_the_same_whatever_python_hashes() -> None:
    command = [sys.executable, "-m", "jsm", "check", "--walks", "2", "--steps", "300", "--json", "--scope", "tiny"]
    documents = []
    for hash_seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": hash_seed, "PATH": ""}
        done = subprocess.run(
            [*command, "--processes", "1"], cwd=ROOT, env=environment, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (3, b"")
        document = json.loads(done.stdout)
        for each in (document, *document["worlds"]):
            for name in ("seconds", "states_per_second"):
                each.pop(name, None)
            each.get("walks", {}).pop("steps_per_second", None)
        documents.append(document)
    assert documents[0] == documents[1]


def test_walks_differ_by_number_and_by_seed() -> None:
    states = {run_walk(Trip(LARGE, Machine, seed, 100), number).states for seed in (0, 1) for number in (0, 1)}
    assert len(states) == 4


def test_a_longer_walk_begins_as_the_shorter_one() -> None:
    fault = run_walk(Trip(SIMPLE, IdsWrap, 0, 2_000), 0).fault
    assert fault is not None
    again = walk(SIMPLE, only=0, steps=len(codes_of(fault)), make_machine=IdsWrap)
    assert again.failed_steps == len(codes_of(fault))
    assert again.found == fault.finding


def test_the_share_of_a_small_world_is_of_what_the_explorer_visits() -> None:
    explored = explore(SCOPES["tiny"], lockstep=False, invariants=False)
    result = walk(SCOPES["tiny"], walks=4, steps=2_000, share_states_max=600)
    assert result.share is not None
    assert result.share.states_all == explored.states
    assert explored.states / 2 < result.share.states <= explored.states
    assert result.share.states == len(result.states)  # a walk comes to no state that the explorer doesn't
    assert result.share.edges == len(result.edges)


def test_there_is_no_share_of_a_world_that_is_too_large() -> None:
    assert walk(SCOPES["tiny"], walks=1, steps=50, share_states_max=524).share is None
    assert walk(SCOPES["tiny"], walks=2, steps=400, share_states_max=20).share is None


def test_a_world_of_so_many_puts_is_walked_anew_when_it_is_over() -> None:
    result = walk(SCOPES["spin"], walks=2, steps=600)
    assert result.verdict == UNDETERMINED
    assert result.lives > 4


def test_an_interrupt_keeps_the_walks_that_are_finished() -> None:
    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(WalksInterrupted) as stopped:
        walk(SIMPLE, walks=5, steps=50, progress=stop)
    assert (stopped.value.result.walks, stopped.value.result.steps) == (2, 100)


def test_a_fault_that_is_interrupted_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models.walks, "counterexample_of", stop)
    with pytest.raises(WalksInterrupted) as stopped:
        walk(SIMPLE, walks=5, steps=400, make_machine=IdsWrap)
    assert stopped.value.result.verdict == VIOLATED
    assert "\nagain:    jsm check --scope x" in told_of_walks("small", stopped.value.result, None)["text"].replace(
        "--scope small", "--scope x"
    )


# ---------------------------------------------------------------------- what a walk does


def test_a_walk_keeps_its_world_busy() -> None:
    """A uniform choice is refused six times in ten, and comes to half as many states."""
    coverage = walk(LARGE, walks=10, steps=500).coverage
    assert 0.01 < coverage.refusals.total() / 5_000 < 0.15
    assert len(coverage.refusals) >= 25
    assert len(coverage.fired) >= 17


def uniform(self: Chooser, spec: Any, due: int | None, state: int) -> int:
    """Any call of the scope."""
    while True:
        code = self._random.randrange(len(self._steps.calls))
        if self._steps.calls[code].op != "put" or self._has_room(spec):
            return code


def test_a_walk_comes_to_more_than_a_uniform_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = walk(LARGE, walks=5, steps=800)
    monkeypatch.setattr(Chooser, "next", uniform)
    assert len(chosen.states) > 1.4 * len(walk(LARGE, walks=5, steps=800).states)


def test_no_more_jobs_live_than_the_scope_says() -> None:
    for number in range(6):
        steps = Steps(SIMPLE)
        walker, chooser = Walker(SIMPLE, Machine, steps), Chooser(SIMPLE, steps, Random(number))
        for _ in range(300):
            walker.step(chooser.next(walker.spec, walker.due, 0), ())
            assert len(walker.spec.jobs) <= SIMPLE.jobs


def test_every_call_of_a_scope_can_be_made_in_a_walk() -> None:
    """Each code becomes a call that is accepted or refused alike by both, whatever the world."""
    steps = Steps(LARGE)
    walker = Walker(LARGE, Machine, steps)
    order = list(range(len(steps.calls)))
    Random(1).shuffle(order)
    for code in order:
        walker.step(code, DEEP)
        assert walker.made
    assert {steps.calls[code].op for code in order} == set(LARGE.operations)


def test_swarms_leave_operations_out() -> None:
    fired = [set(run_walk(Trip(LARGE, Machine, 0, 200), number).coverage.fired) for number in range(8)]
    assert all({"put", "tick"} <= each for each in fired)
    assert any("append_reservation" not in each for each in fired)
    assert any("reserve_job" not in each for each in fired)


# ---------------------------------------------------------------------- each check sees what no other does


class PeeksWrong(Machine):
    """A look at the ready jobs shows a buried one."""

    __slots__ = ()

    def peek_ready_job(self, tube: TubeName, *, now: int | None = None) -> JobView:
        """Peek at the wrong heap."""
        return self.peek_buried_job(tube, now=now)


class KeyTwice(Machine):
    """A burial leaves a key in the heap of the buried that no job has."""

    __slots__ = ()

    def bury(self, *args: Any, **words: Any) -> None:
        """Bury, and leave a key."""
        super().bury(*args, **words)
        self._state.tubes[TubeName("default")].buried.keys.append(1 << 200)


class CountsKicks(Machine):
    """A burial counts as a kick."""

    __slots__ = ()

    def bury(self, now: int, job_id: Any, *args: Any, **words: Any) -> None:
        """Bury, and count a kick."""
        super().bury(now, job_id, *args, **words)
        self._state.jobs[job_id].kicks += 1


PUT = Call("put", (0,), {"priority": 0, "delay_seconds": 0, "ttr_seconds": 9, "body": b"", "tube": "default"})
BURIAL = (PUT, PUT, Call("reserve_job", (0, 1, "a")), Call("bury", (0, 1, "a"), {"priority": 0}))


def stumble_of(walker: Walker, call: Call, by: str) -> Stumble | None:
    """What a call showed to one of the dear checks."""
    try:
        walker.make(call, (by,))
    except Stumble as stumble:
        return stumble
    return None


@pytest.mark.parametrize(
    ("machine", "by"),
    [(PeeksWrong, LOOKS), (KeyTwice, CONTAINERS), (CountsKicks, STATE), (CountsKicks, INVARIANTS)],
)
def test_a_dear_check_sees_what_is_not_compared_after_every_step(machine: type[Machine], by: str) -> None:
    unseen = Walker(SIMPLE, machine, Steps(SIMPLE))
    for call in BURIAL:
        unseen.make(call, ())
    walker = Walker(SIMPLE, machine, Steps(SIMPLE))
    stumbles = [each for each in (stumble_of(walker, call, by) for call in BURIAL) if each is not None]
    assert stumbles[0].by == (by,)
    assert stumbles[0].finding.step == (0 if by == LOOKS else len(BURIAL) - 1)


class Crashes(Machine):
    """A burial divides by zero."""

    __slots__ = ()

    def bury(self, *args: Any, **words: Any) -> None:
        """Fall over."""
        raise ZeroDivisionError


class NoMachine(Machine):
    """It can't even be made."""

    __slots__ = ()

    def __init__(self, **_: Any) -> None:
        raise OSError("no room")


def test_whatever_a_machine_raises_is_a_finding() -> None:
    found = walk(SIMPLE.but(refusals=False), walks=20, steps=300, make_machine=Crashes)
    assert found.found is not None
    assert found.found.name == "crash"
    assert found.counterexample is not None
    assert found.counterexample.calls[-1].op == "bury"
    assert len(found.counterexample.calls) <= 3
    assert run_walk(Trip(SIMPLE, NoMachine, 0, 10), 0).fault is not None


def test_a_restore_goes_by_the_file_form(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(snapshot: JSMSnapshot, chunks: Iterable[bytes]) -> None:
        restore_snapshot(snapshot, chunks)
        snapshot._machine._state.job_timeouts += 1  # type: ignore[attr-defined]

    monkeypatch.setattr(models.walks_run, "restore_snapshot", forgetful)
    walker = Walker(SIMPLE, Machine, Steps(SIMPLE))
    with pytest.raises(Stumble) as stumble:
        walker.make(Call("reload"), ())
    assert stumble.value.finding.name == "lock-step state totals"


# ---------------------------------------------------------------------- the command line


def _check(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jsm", "check", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


def test_a_swarm_is_undetermined_and_exit_3() -> None:
    done = _check("--walks", "2", "--steps", "200", "--processes", "1", "--json", "--operations", "put,delete,tick")
    assert (done.returncode, done.stderr) == (3, "")
    document = json.loads(done.stdout)
    assert document["verdict"] == "undetermined"
    assert document["worlds"][0]["world"] == "large"
    assert document["worlds"][0]["walks"]["walks"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--walks", "0"], "--walks 0: give a number above 0"),
        (["--walks", "1", "--steps", "-3"], "--steps -3: give a number above 0"),
        (["--walk", "-1"], "--walk -1: give 0 or a number above it"),
        (["--walks", "1", "--seed", "-1"], "--seed -1: give 0 or a number above it"),
        (["--walks", "1", "--states", "9"], "--states 9: is no bound of walks; give --walks and --steps alone"),
        (["--walks", "1", "--no-lockstep"], "--no-lockstep, --no-invariants: walks are always checked"),
        (["--cluster", "tcp://host:1"], "--cluster tcp://host:1: only walks are made on a cluster"),
        (["--walks", "1", "--cluster", "host"], "--cluster host: is no address of a Dask scheduler; give tcp://HOST:"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(words: list[str], said: str) -> None:
    done = _check(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"jsm check: {said}")


def test_a_fault_says_by_which_command_it_is_seen_again(tmp_path: Path) -> None:
    operations = ("put", "reserve_job", "bury", "tick")
    world = SCOPES["large"].but(jobs=2, timeouts=(None, 1), late=False, refusals=False, operations=operations)
    result = walk(world, walks=9, steps=900, seed=4, make_machine=Crashes)
    document = told_of_walks("large", result, tmp_path / "shown")
    again = f"--walk {result.failed} --seed 4 --steps {result.failed_steps}"
    assert document["text"].startswith(f"large: violated: crash in walk {result.failed} of seed 4, ")
    options = f"--jobs 2 --timeouts none,1 --operations {','.join(operations)} --on-time"
    assert f"again:    jsm check --scope large {options} {again}" in document["text"]
    assert len(list((tmp_path / "shown").iterdir())) == 4


def test_a_world_is_named_by_its_options() -> None:
    assert options_of("small", SCOPES["small"]) == ""
    changed = SCOPES["small"].but(priorities=(0,), late=True, symmetry=False, operations=("put", "tick"))
    assert options_of("small", changed) == " --priorities 0 --operations put,tick --late --no-symmetry"
