"""Invariants beside a machine that runs: every call, every so-manyth, a sample; and `jsm simulate --check`."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jsm.__main__ import main
from jsm.errors import InvariantViolation, JsmError
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import TransitionRecord
from models.calls import Call
from models.invariants import INVARIANTS, InvariantChecker, InvariantSampler
from models.invariants_rule import BrokenInvariant
from sim.check_mode import CheckMode
from sim.results import summary_of
from sim.run import Simulation
from sim.scenario import load_scenario
from tests.machines import random_history
from tests.refusals import TABLE, good_calls, single_faults
from tests.scenes import ask, call, put, take, tick
from tests.simulated import at_start, pool, scenario

Shown = pytest.CaptureFixture[str]


def observed(
    checker: InvariantChecker, calls: list[Call], *, make_machine: Callable[..., Machine] = Machine, second: int = 1
) -> InvariantChecker:
    """Make the calls on a machine whose observer the checker is."""
    machine = ObservedMachine(observer=checker, make_machine=make_machine, units_per_second=second)
    checker.attach(machine.machine)
    for each in calls:
        try:
            getattr(machine, each.op)(*each.args, **each.kwargs)
        except JsmError:
            continue  # an answer like any other
    return checker


class Forgetful(Machine):
    """A machine that counts no timeouts."""

    __slots__ = ()

    def tick(self, now: int) -> Any:
        """As it should, and then every job's timeouts are forgotten."""
        answers = super().tick(now)
        for job in self._state.jobs.values():
            job.timeouts = 0
        return answers


OVERDUE = [put(ttr=1), take(1), tick(1)]
"""After which `Forgetful` has forgotten a timeout."""


# ---------------------------------------------------------------------- every call


@pytest.mark.parametrize("second", [1, 1000])
def test_an_observer_checks_every_call_of_a_random_history(second: int) -> None:
    history = random_history(5, calls=200, second=second)
    checker = observed(InvariantChecker(), history, second=second)
    assert (checker.calls, checker.checked) == (200, 200)
    report = checker.report()
    assert report["calls_checked"] == 200
    assert set(report["evaluated"]) < set(INVARIANTS)
    assert report["evaluated"]["the_best_ready_job_goes_first"] > 10


def test_an_observer_understands_every_operation_and_refusal() -> None:
    calls = [spoilt.call for op in TABLE for spoilt in single_faults(op)] + [good.call for good in good_calls()]
    # What JSON can't carry reaches the record as a text, which might be a good value.
    plain = [each for each in calls if not any(isinstance(value, bytes) for value in _values(each))]
    checker = observed(InvariantChecker(), [*plain, call("stop"), tick(99), call("get_tubes")])
    assert checker.calls == len(plain) + 3
    assert checker.tally["a_stopped_machine_refuses"] == 2


def _values(each: Call) -> list[Any]:
    values = [value for name, value in each.kwargs.items() if name != "body"]
    return values + [part for value in values if isinstance(value, list | tuple) for part in value]


def test_an_observer_stops_the_caller_at_the_call_that_broke_an_invariant() -> None:
    checker = InvariantChecker()
    with pytest.raises(BrokenInvariant, match=r"counters_count_their_events: at 1, after tick\(now=1\): job 1 has "):
        observed(checker, [*OVERDUE, put()], make_machine=Forgetful)
    assert checker.calls == 3


def test_every_kth_call_is_checked_and_which_depends_on_the_calls_alone() -> None:
    history = random_history(6, calls=200)
    assert observed(InvariantChecker(every=7), history).checked == 29  # the 1st, 8th … 197th
    first, second = (observed(InvariantChecker(every=3), history).tally for _ in range(2))
    assert dict(first) == dict(second)


@pytest.mark.parametrize(("every", "found"), [(1, True), (3, False), (2, True)])
def test_a_fault_between_checked_calls_is_not_looked_at(every: int, found: bool) -> None:
    checker = InvariantChecker(every=every)
    try:
        observed(checker, OVERDUE, make_machine=Forgetful)
    except InvariantViolation:
        assert found
    else:
        assert not found
        assert checker.checked == 1


def test_a_machine_that_holds_much_is_looked_at_more_rarely() -> None:
    calls = [put(ttr=9) for _ in range(400)]
    checker = observed(InvariantChecker(entries_a_call=10), calls)
    assert 40 < checker.checked < 60  # every call up to 20 entries, every 40th in the end
    assert observed(InvariantChecker(entries_a_call=1000), calls).checked == 400


def test_a_detached_checker_looks_no_more() -> None:
    checker = InvariantChecker()
    machine = ObservedMachine(observer=checker, make_machine=Forgetful)
    checker.attach(machine.machine)
    checker.detach()
    for each in OVERDUE:
        getattr(machine, each.op)(*each.args, **each.kwargs)
    assert checker.calls == 0


# ---------------------------------------------------------------------- a sample


class Chunks:
    """A machine's observer that hands its records on when it is told to."""

    def __init__(self, sampler: InvariantSampler, machine: type[Machine] = Machine) -> None:
        self.records: list[TransitionRecord] = []
        self.sampler = sampler
        self.machine = machine(observer=self)
        sampler.attach(self.machine)

    def transition(self, record: TransitionRecord) -> None:
        """Keep the record for the next chunk."""
        self.records.append(record)

    def play(self, calls: list[Call]) -> None:
        """Make the calls and hand on what they did as one chunk."""
        for each in calls:
            getattr(self.machine, each.op)(*each.args, **each.kwargs)
        self.sampler.consume(self.records)
        self.records.clear()


def test_a_sampler_checks_the_first_chunk_and_then_some() -> None:
    chunks = Chunks(InvariantSampler(records_min=4, records_an_entry=2))
    for _ in range(12):
        chunks.play([put(), put()])
    # Checked: the 1st (2 jobs, 1 tube: at least 6 records to go), the 5th (10 jobs: 22), none after it.
    report = chunks.sampler.report()
    assert (report["records"], report["records_checked"]) == (24, 4)
    assert report["evaluated"]["ids_strictly_increase"] == 2
    assert report["evaluated"]["burials_queue_up"] == 0


def test_a_sampler_finds_what_broke_in_its_span_and_what_stays_broken() -> None:
    chunks = Chunks(InvariantSampler(), Forgetful)
    with pytest.raises(BrokenInvariant, match="counters_count_their_events"):
        chunks.play(OVERDUE)

    class Deaf(Machine):
        """A machine that forgets that somebody waits."""

        __slots__ = ()

        def next_tick_at(self) -> int | None:
            return None

    late = Chunks(InvariantSampler(records_min=1, records_an_entry=0), Deaf)
    late.play([put()])
    late.play([put()])
    with pytest.raises(BrokenInvariant, match="next_tick_at_names_the_soonest_timer"):
        late.play([ask("a"), ask("b"), ask("c", until=5), put("t")])


# ---------------------------------------------------------------------- simulations


SHORT = ("run.duration_seconds=60.0", "run.warmup_seconds=5.0")


@pytest.mark.parametrize("check", CheckMode)
def test_checking_changes_no_number_of_a_run(check: CheckMode) -> None:
    made = load_scenario("steady", SHORT)
    plain, checked = Simulation(made), Simulation(made, check=check)
    plain.run()
    checked.run()
    numbers, expected = (summary_of(each.result(), each.info()) for each in (checked, plain))
    assert {**numbers, "invariants": None} == {**expected, "invariants": None}
    said = checked.info().invariants
    assert said is not None
    assert said["mode"] == check
    if check is CheckMode.ALL:
        assert said["calls"] == said["calls_checked"] > 1200
        assert said["evaluated"]["counters_count_their_events"] > 800
    elif check is CheckMode.SAMPLED:
        assert said["records"] == said["records_checked"] > 800
    else:
        assert said == {"mode": "off"}


@pytest.mark.parametrize("check", [CheckMode.ALL, CheckMode.SAMPLED])
def test_a_broken_invariant_stops_the_run(check: CheckMode) -> None:
    made = scenario(producers=at_start(ttr_seconds=2), workers=pool(3.0, gives_up_at_ttr=True))
    simulation = Simulation(made, check=check, make_machine=Forgetful)
    with pytest.raises(BrokenInvariant, match="counters_count_their_events"):
        simulation.run()


@pytest.mark.parametrize("check", [CheckMode.ALL, CheckMode.SAMPLED])
def test_a_machine_that_fails_fails_for_its_own_reason(check: CheckMode) -> None:
    class Failing(Machine):
        """A machine that breaks in the middle of a delete."""

        __slots__ = ()

        def delete(self, job_id: Any, client_id: Any, *, now: int | None = None) -> None:
            super().delete(job_id, client_id, now=now)
            self._state.total_jobs += 1
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Simulation(load_scenario("drain"), check=check, make_machine=Failing).run()


# ---------------------------------------------------------------------- the command


@pytest.fixture(name="_in_a_folder")
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def simulate(*arguments: str) -> int:
    return main(["simulate", "drain", "--no-plots", *arguments])


@pytest.mark.usefixtures("_in_a_folder")
@pytest.mark.parametrize(
    ("arguments", "mode", "line"),
    [
        ((), "sampled", "on 300 of 300 transitions"),
        (("--check", "all"), "all", "on 316 of 316 calls"),
        (("--check", "off"), "off", "not checked (--check off)"),
    ],
)
def test_the_summary_and_the_table_say_what_was_checked(
    arguments: tuple[str, ...], mode: str, line: str, capsys: Shown
) -> None:
    assert simulate(*arguments) == 0
    assert line in capsys.readouterr().out
    said = json.loads(Path("out/drain/summary.json").read_text("utf-8"))["invariants"]
    assert said["mode"] == mode
    assert set(said.get("evaluated", {})) <= set(INVARIANTS)


@pytest.mark.usefixtures("_in_a_folder")
def test_a_trace_changes_nothing_of_what_was_checked() -> None:
    arguments = ["--set=run.duration_seconds=40.0", "--set=run.warmup_seconds=5.0"]
    for check in ("sampled", "all"):
        for out, more in (("plain", []), ("traced", ["--trace"])):
            assert main(["simulate", *arguments, "--no-plots", "--quiet", "--check", check, "--out", out, *more]) == 0
        assert Path("plain/summary.json").read_bytes() == Path("traced/summary.json").read_bytes()


@pytest.mark.usefixtures("_in_a_folder")
@pytest.mark.parametrize("check", ["all", "sampled"])
def test_a_broken_invariant_ends_with_1_says_which_and_writes_nothing(
    check: str, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    class Miscounting(Machine):
        """A machine whose buried jobs are never counted out."""

        __slots__ = ()

        def count_jobs(self, tube: Any = None) -> Any:
            return {state: count + (state == "buried") for state, count in super().count_jobs(tube).items()}

    monkeypatch.setattr("sim.run.Simulation", partial(Simulation, make_machine=Miscounting))
    assert simulate("--check", check) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    violation, again = shown.err.splitlines()
    assert violation.startswith("jsm simulate: each_job_in_exactly_one_container: at ")
    assert " 1 buried; expected " in violation
    assert "S1: Each live job is in exactly one container" in violation
    assert again.endswith("jsm simulate drain --no-plots" + (" --check all" if check == "all" else ""))
    assert list(Path().rglob("*")) == []


@pytest.mark.usefixtures("_in_a_folder")
def test_another_mode_is_refused(capsys: Shown) -> None:
    assert simulate("--check", "some") == 2
    shown = capsys.readouterr()
    assert "'some' is not one of 'all', 'sampled', 'off'" in " ".join(shown.err.replace("│", "").split())
    assert list(Path().iterdir()) == []
