"""The explorer: it visits every state and no other, finds planted faults by the shortest way, and says what it did."""

from collections.abc import Iterator

import pytest

from jsm.errors import JsmError
from jsm.image import body_of, restart
from jsm.job import JobID, TubeName
from jsm.machine import Machine
from jsm.relative_key import RelativeKeys
from jsm.reservations import ClientResvEntry, Reservation
from jsm.snapshot import MachineSnapshot
from models.calls import Call, state_of_machine
from models.check_result import HOLDS, UNDETERMINED, VIOLATED, Bounds
from models.explorer import _Search, explore
from models.finding import find_fault
from models.renderings import FORMS, render
from models.scope import SCOPES, Scope
from tests.explored_faults import FAULTS
from tests.machines import parts_of, restore

SIZES = {
    "tiny": (525, 10_548),
    "small": (2_770, 64_648),
    "late": (2_616, 55_866),
    "tubes": (439, 7_035),
    "waits": (1_232, 27_512),
    "pauses": (834, 12_419),
    "best": (736, 8_374),
    "line": (310, 3_989),
    "timers": (638, 6_249),
    "promises": (1_122, 16_101),
}
"""States and accepted calls of the named worlds, with exchangeable clients."""

ONE = Scope(jobs=1, clients=1, priorities=(0,), timeouts=(None, 1), pauses=(1,))


# ---------------------------------------------------------------------- every state and no other


def calls_on(machine: Machine, scope: Scope) -> Iterator[Call]:
    """Everything that the scope makes, written out once more, with the machine's own ids and instants."""
    snapshot = machine.snapshot()
    header = snapshot.header()
    jobs = [record.job.id for record in snapshot.snapshot_jobs()]
    for now in (machine.clock, machine.clock + scope.step):
        if len(jobs) < scope.jobs:
            for priority in scope.priorities:
                for delay in scope.delays:
                    numbers = {"priority": priority, "delay_seconds": delay, "ttr_seconds": scope.ttrs[0]}
                    yield Call("put", (now,), {**numbers, "body": b"", "tube": "default"})
        yield Call("tick", (now,))
        yield Call("get_tubes", (), {"now": now})
        for seconds in scope.pauses:
            yield Call("pause_tube", (now, "default", seconds))
        for job in (*jobs, header.next_job_id):
            for client in scope.client_names:
                yield Call("touch", (now, job, client))
                yield Call("reserve_job", (now, job, client))
                for priority in scope.priorities:
                    for delay in scope.delays:
                        numbers = {"priority": priority, "delay_seconds": delay}
                        yield Call("release_with", (now, job, client), numbers)
        for client in scope.client_names:
            for timeout in scope.timeouts:
                deadline_at = None if timeout is None else now + timeout
                words = {"request_id": "", "tubes": ("default",), "deadline_at": deadline_at}
                yield Call("append_reservation", (now, client), words)
    for n in range(1, scope.jobs + 1):
        yield Call("kick_n", ("default", n))
    for job in jobs:
        yield Call("kick", (job,))
        for client in scope.client_names:
            yield Call("delete", (job, client))
            yield Call("release", (job, client))
            for priority in scope.priorities:
                yield Call("bury", (machine.clock, job, client), {"priority": priority})
    for client in scope.client_names:
        yield from (Call(op, (client,)) for op in ("cancel_reservation", "close_client"))
        yield from (Call(op, (client, "default")) for op in ("use_tube", "watch_tube", "ignore_tube"))


def by_brute_force(scope: Scope, depth: int) -> dict[bytes, int]:
    """The keys of all states that so many calls lead to, each with its depth: machines as they are, nothing renamed."""
    keys = scope.keys()
    found = {keys.of(Machine()): 0}
    frontier = [Machine()]
    seen = {repr(state_of_machine(Machine()))}
    for level in range(1, depth + 1):
        reached = []
        for machine in frontier:
            parts = parts_of(machine)
            for call in calls_on(machine, scope):
                heir = Machine()
                restore(heir, parts)
                try:
                    getattr(heir, call.op)(*call.args, **call.kwargs)
                except JsmError:
                    continue
                state = {name: part for name, part in state_of_machine(heir).items() if name != "commands"}
                if repr(state) not in seen:
                    seen.add(repr(state))
                    reached.append(heir)
                    found.setdefault(keys.of(heir), level)
        frontier = reached
    return found


def by_exploring(scope: Scope, depth: int) -> dict[bytes, int]:
    """The keys that the explorer knows after so many calls, each with its depth."""
    search = _Search(scope, Machine, lockstep=False, invariants=False)
    search.run(Bounds(depth=depth), (), None, 1)
    return dict(zip(search.order, search.depths, strict=True))


@pytest.mark.parametrize(
    ("scope", "depth"),
    [
        (ONE, 3),
        (ONE.but(clients=2, symmetry=False, timeouts=(None,)), 2),
        (ONE.but(clients=2, timeouts=(None,)), 2),
        (ONE.but(jobs=2, priorities=(0, 1), delays=(0,), timeouts=(None,)), 2),
        pytest.param(ONE, 4, marks=pytest.mark.slow),
        pytest.param(ONE.but(jobs=2, clients=2, timeouts=(None,)), 3, marks=pytest.mark.slow),
    ],
)
def test_brute_force_comes_to_the_same_states_at_the_same_depths(scope: Scope, depth: int) -> None:
    assert by_brute_force(scope, depth) == by_exploring(scope, depth)


def test_a_state_that_is_left_out_would_be_missed() -> None:
    narrow = ONE.but(operations=tuple(name for name in ONE.operations if name != "kick"))
    by_force, explored = by_brute_force(ONE, 2), by_exploring(narrow, 2)
    assert by_force == explored | by_force  # kick leads nowhere new within two calls, and nothing else is lost
    without_touch = by_exploring(ONE.but(operations=("put", "tick")), 2)
    assert set(without_touch) < set(by_force)


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "late" else name for name in SIZES]
)
def test_a_named_world_has_so_many_states(name: str) -> None:
    result = explore(SCOPES[name], lockstep=False, invariants=False)
    assert (result.verdict, result.states, result.transitions) == (HOLDS, *SIZES[name])
    assert result.bytes_per_state <= 200


@pytest.mark.parametrize(
    ("jobs", "states", "transitions"),
    [(2, 993, 8_729), pytest.param(3, 14_040, 164_712, marks=pytest.mark.slow)],
)
def test_the_world_that_other_engines_counted_has_as_many_states(jobs: int, states: int, transitions: int) -> None:
    operations = tuple(name for name in SCOPES["spin"].operations if name != "release")
    scope = SCOPES["spin"].but(jobs=jobs, puts=jobs, operations=operations)
    result = explore(scope, lockstep=False, invariants=False)
    assert (result.verdict, result.states, result.transitions) == (HOLDS, states, transitions)
    assert result.bytes_per_state <= 200


def test_where_a_tick_follows_each_call_both_are_checked() -> None:
    scope = SCOPES["spin"].but(jobs=1, puts=1)
    assert explore(scope).verdict == HOLDS
    shown = explore(scope, make_machine=Crashes).counterexample
    assert shown is not None
    assert (shown.finding.name, len(shown.calls)) == ("crash", 3)
    assert [call.op for call in shown.calls] == ["put", "tick", "kick"]


@pytest.mark.slow
def test_four_jobs_of_that_world_have_as_many_states() -> None:
    result = explore(SCOPES["spin"], lockstep=False, invariants=False)
    assert (result.verdict, result.states) == (HOLDS, 205_541)
    assert result.bytes_per_state <= 200


def test_exchanging_clients_makes_fewer_states_but_none_that_is_new() -> None:
    operations = ("put", "delete", "append_reservation", "cancel_reservation", "tick", "touch", "bury", "kick")
    scope = ONE.but(clients=2, timeouts=(None,), operations=operations)
    all_states = explore(scope.but(symmetry=False), lockstep=False, invariants=False).states
    fewer = explore(scope, lockstep=False, invariants=False).states
    assert all_states / 2 <= fewer < all_states


# ---------------------------------------------------------------------- verdicts and coverage


def test_the_machine_holds_in_a_small_world_and_everything_is_met() -> None:
    result = explore(SCOPES["tiny"])
    assert (result.verdict, result.counterexample, result.never_fired) == (HOLDS, None, ())
    coverage = result.document()["coverage"]
    assert [name for name, count in coverage["edges"].items() if not count] == []
    assert (coverage["edge_pairs"]["met"], coverage["edge_pairs"]["all"]) == (67, 67)
    cells = {(cell["state"], cell["op"], cell["kind"]) for cell in coverage["refusals"]}
    assert {
        ("ready", "touch", "wrong-state"),
        ("missing", "kick", "missing"),
        ("reserved", "reserve_job", "missing"),
    } <= cells
    assert {cell for cell in cells if cell[2] == "wrong-state" and cell[1] == "append_reservation"}


def test_refusals_of_others_are_met_where_there_are_others() -> None:
    operations = ("put", "reserve_job", "touch", "release", "release_with", "bury", "delete", "tick")
    result = explore(ONE.but(clients=2, delays=(0,), operations=operations))
    others = {cell["op"] for cell in result.document()["coverage"]["refusals"] if cell["by"] == "other"}
    assert others == {"reserve_job", "touch", "release", "release_with", "bury", "delete"}


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        (Bounds(states=100), "states are known"),
        (Bounds(depth=2), "histories of 2 calls are done"),
        (Bounds(seconds=0.0), "s have passed"),
    ],
)
def test_a_bound_that_is_hit_leaves_the_question_open(bounds: Bounds, why: str) -> None:
    result = explore(SCOPES["tiny"], lockstep=False, invariants=False, bounds=bounds)
    assert result.verdict == UNDETERMINED
    assert why in result.why
    assert result.states < SIZES["tiny"][0]


def test_an_operation_that_is_never_accepted_is_an_error_unless_allowed() -> None:
    scope = ONE.but(operations=("put", "tick", "touch"))
    assert explore(scope).verdict == VIOLATED
    assert explore(scope).never_fired == ("touch",)
    assert explore(scope, allow_unfired=["touch"]).verdict == HOLDS


def test_processes_side_by_side_come_to_the_same() -> None:
    scope = ONE.but(jobs=2, operations=("put", "reserve_job", "release", "bury", "kick", "tick"))
    one, two = (explore(scope, processes=count).document() for count in (1, 2))
    assert one["states"] > 32  # a batch
    for measured in ("seconds", "states_per_second", "bytes_per_state"):
        del one[measured], two[measured]
    assert one == two


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    explore(SCOPES["tiny"], lockstep=False, invariants=False, progress=lambda done, known: told.append((done, known)))
    assert told[-1] == (525, 525)
    assert told == sorted(told)


# ---------------------------------------------------------------------- planted faults


@pytest.mark.parametrize("machine", FAULTS, ids=lambda machine: machine.__name__)
def test_a_planted_fault_is_found_by_calls_that_show_it_again(machine: type[Machine]) -> None:
    scope, length = FAULTS[machine]
    assert explore(scope).verdict == HOLDS, "the machine itself has the fault"
    result = explore(scope, make_machine=machine)
    assert result.verdict == VIOLATED
    shown = result.counterexample
    assert shown is not None
    assert len(shown.calls) == length
    assert find_fault(shown.calls, make_machine=machine) == shown.finding
    assert find_fault(shown.calls) is None
    assert find_fault(shown.calls[:-1], make_machine=machine) is None


class Crashes(Machine):
    """A kick of a job that was never buried raises."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        if self._state.jobs[job_id].buried_at == 0:
            raise RuntimeError("no such burial")
        super().kick(job_id, now=now)


def test_a_crash_is_found() -> None:
    result = explore(ONE.but(operations=("put", "kick", "tick")), make_machine=Crashes)
    assert result.counterexample is not None
    assert result.counterexample.finding.name == "crash"


class RemembersNothing(Machine):
    """A fault that no call shows: jobs that were made from a description have lost their bodies."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        answers = super().tick(now)
        for job in self._state.jobs.values():
            if job.body == body_of(job.id) and job.reserves == 20:
                job.reserves += 1
        return answers


def test_what_only_the_exploration_sees_is_reported_all_the_same() -> None:
    result = explore(ONE.but(operations=("put", "tick")), make_machine=RemembersNothing)
    assert result.verdict == VIOLATED
    assert result.counterexample is not None
    assert result.counterexample.finding.name == "explored_state"


class ForgetsTheIdle(Machine):
    """A snapshot leaves out the clients that have nothing."""

    __slots__ = ()

    class Snapshot(MachineSnapshot):
        """Without idle clients."""

        __slots__ = ()

        def snapshot_clients(self) -> Iterator[ClientResvEntry]:
            return (entry for entry in super().snapshot_clients() if entry.is_waiting)

    def snapshot(self) -> MachineSnapshot:
        return self.Snapshot(self)


def test_what_is_wrong_before_any_call_is_reported_too() -> None:
    result = explore(SCOPES["timers"], make_machine=ForgetsTheIdle)
    shown = result.counterexample
    assert (result.verdict, result.states) == (VIOLATED, 1)
    assert shown is not None
    assert (shown.finding.name, len(shown.calls)) == ("explored_state", 1)
    for form in FORMS:
        assert render(shown, form)


def test_a_restart_is_the_same_machine() -> None:
    machine = Machine()
    machine.put(3, priority=1, delay_seconds=4, ttr_seconds=5, body=b"x", tube=TubeName("default"))
    before = state_of_machine(machine)
    restart(machine, Machine)
    assert state_of_machine(machine) == before


def test_arrangements_add_up_to_the_states_with_clients_by_name() -> None:
    operations = ("put", "delete", "append_reservation", "cancel_reservation", "tick", "touch", "bury", "reserve_job")
    scope = ONE.but(clients=3, timeouts=(None,), delays=(0,), operations=operations)
    by_name = explore(scope.but(symmetry=False), lockstep=False, invariants=False).states
    search = _Search(scope, Machine, lockstep=False, invariants=False)
    search.run(Bounds(), (), None, 1)
    assert len(search.order) < by_name / 2
    assert sum(map(search.expander.keys.arrangements, search.order)) == by_name


@pytest.mark.parametrize("name", ["tiny", "tubes", "promises", "spin"])
def test_keys_are_the_same_made_afresh_or_after_a_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = SCOPES[name].but(jobs=2) if name != "spin" else SCOPES[name].but(jobs=2, puts=2)
    bounds = Bounds(states=700)
    raced = _Search(scope, Machine, lockstep=False, invariants=False)
    raced.run(bounds, (), None, 1)
    afresh = _Search(scope, Machine, lockstep=False, invariants=False)
    monkeypatch.setattr(RelativeKeys, "after", lambda keys, machine, *_: keys.of(machine))
    afresh.run(bounds, (), None, 1)
    assert raced.order == afresh.order
    assert raced.transitions == afresh.transitions


@pytest.mark.parametrize("processes", [1, 2])
def test_what_stands_for_others_is_counted_for_all(processes: int) -> None:
    """With clients exchangeable fewer states are visited; told apart, they are those of the world without symmetry."""
    world = SCOPES["spin"].but(jobs=2, puts=2)
    apart = explore(world.but(symmetry=False), lockstep=False, invariants=False)
    together = explore(world.but(symmetry=True), lockstep=False, invariants=False, processes=processes)
    assert together.states < apart.states
    assert (together.states_apart, together.transitions_apart) == (apart.states, apart.transitions)
    assert (apart.states_apart, apart.transitions_apart) == (apart.states, apart.transitions)
