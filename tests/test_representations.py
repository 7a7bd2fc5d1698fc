"""The prototypes of the inner representation give the same results, so that comparing their speed means something."""

import pytest

from tests.benchmarks.representations import PROTOTYPES
from tests.benchmarks.representations.explore import explore
from tests.benchmarks.representations.histories import random_steps
from tests.benchmarks.representations.loads import FiringLoad, SteadyLoad, loaded, operation_costs
from tests.benchmarks.representations.report import as_markdown

SEEDS = range(12)
STEPS = 400


@pytest.mark.parametrize("seed", SEEDS)
def test_all_prototypes_answer_a_random_history_alike(seed: int) -> None:
    machines = {name: prototype(3) for name, prototype in PROTOTYPES.items()}
    for number, step in enumerate(random_steps(seed, STEPS)):
        answers = {name: (step(m), m.clock, m.next_tick_at(), m.ids(), m.records()) for name, m in machines.items()}
        for name, answer in answers.items():
            assert answer == answers["A"], f"seed {seed}, step {number}: {name} differs from A"


def test_the_random_histories_reach_every_operation_and_refuse_some() -> None:
    counters = [0] * 5
    refused = fired = 0
    for seed in SEEDS:
        machine = PROTOTYPES["A"]()
        for step in random_steps(seed, STEPS):
            answer = step(machine)
            refused += answer is False
            fired += isinstance(answer, list) and len(answer) > 0
        for record in machine.records():
            counters = [total + count for total, count in zip(counters, record[13:], strict=True)]
    assert min(counters) > 10, counters  # reserves, timeouts, releases, buries, kicks
    assert refused > 100
    assert fired > 100


@pytest.mark.parametrize("name", PROTOTYPES)
def test_a_restored_machine_goes_on_as_the_original(name: str) -> None:
    original, restored = PROTOTYPES[name](), PROTOTYPES[name]()
    for number, step in enumerate(random_steps(99, STEPS)):
        if number % 7 == 0:
            snapshot = original.snapshot()
            restored = PROTOTYPES[name]()
            restored.restore(snapshot)
        assert (step(original), original.next_tick_at()) == (step(restored), restored.next_tick_at())
        assert (original.key(), original.records()) == (restored.key(), restored.records())


@pytest.mark.parametrize("name", PROTOTYPES)
def test_a_snapshot_does_not_change_with_the_machine(name: str) -> None:
    machine = PROTOTYPES[name]()
    steps = list(random_steps(5, STEPS))
    for step in steps[:200]:
        step(machine)
    snapshot, before = machine.snapshot(), machine.records()
    for step in steps[200:]:
        step(machine)
    assert machine.records() != before
    machine.restore(snapshot)
    assert machine.records() == before


@pytest.mark.parametrize("name", PROTOTYPES)
def test_the_small_world_has_the_same_states_for_every_prototype(name: str) -> None:
    assert explore(PROTOTYPES[name](), 2) == (523, 5_356)


def test_the_key_forgets_a_shift_of_time_ids_and_counters_and_nothing_else() -> None:
    for name, prototype in PROTOTYPES.items():
        early, late, other = prototype(), prototype(), prototype()
        early.put(5, "left", 1, 0, 9, b"")
        late.put(1, "right", 0, 0, 1, b"")
        late.delete(1, 1, "ann")
        late.put(70, "left", 1, 0, 9, b"")
        other.put(5, "left", 1, 0, 8, b"")
        assert early.key() == late.key() != other.key(), name
        early.reserve(6, "ann", ("left",))
        late.reserve(71, "ann", ("left",))
        assert early.key() == late.key(), name
        late.tick(72)
        assert early.key() != late.key(), name


@pytest.mark.parametrize("load", [SteadyLoad(1, 300), FiringLoad(2, 300), FiringLoad(2, 3_000, 1)])
def test_the_loads_leave_every_prototype_in_the_same_state(load: SteadyLoad | FiringLoad) -> None:
    ends = []
    for prototype in PROTOTYPES.values():
        machine, held = loaded(prototype, 50, load.units_per_second), [0] * 10
        load.run(machine, held)
        ends.append((held, machine.next_tick_at(), machine.records()))
    assert all(end == ends[0] for end in ends)


def test_the_firing_load_fires_and_the_steady_load_does_not() -> None:
    for load, fires in ((SteadyLoad(1, 3_000), False), (FiringLoad(2, 3_000), True)):
        machine = loaded(PROTOTYPES["B"], 1_000)
        load.run(machine, [0] * 10)
        records = machine.records()
        assert any(record[14] for record in records) is fires  # timeouts
        assert any(record[4] == 2 for record in records) is fires  # put with a delay of 2 s, which no release has


def test_single_operations_cost_something() -> None:
    costs = operation_costs(loaded(PROTOTYPES["B"], 100), batches=2, batch=50)
    assert costs.put > 0
    assert costs.reserve > 0


def test_the_report_names_every_prototype_and_load() -> None:
    same = dict.fromkeys(PROTOTYPES, 2.0)
    text = as_markdown(
        {
            "command": "c",
            "commit": "0",
            "python": "p",
            "machine": "m",
            "method": "by hand",
            "prototypes": {name: {"what": "words", "lines": 1} for name in PROTOTYPES},
            "throughput": [{"load": "steady", "resident": 1000, "cycles_per_second": {**same, "B": 4.0}}],
            "exploring": {"jobs": 3, "states": 1, "operations": 2, "states_per_second": same},
            "memory": [{"jobs": 9, "state": "ready", "meter": "tracemalloc", "bytes_per_job": {**same, "B": 1.0}}],
            "operations": [{"prototype": "B", "resident": 1000, "nanoseconds": {"put": 1.0}}],
            "primitives": [{"resident": 1000, "nanoseconds": {"make": 1.0}}],
        }
    )
    assert "| steady | 1,000 | 2 (1.00) | 4 (2.00) |" in text
    assert "| ready | tracemalloc | 2 (1.00) | 1 (2.00) |" in text
