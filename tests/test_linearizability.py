"""The checker of histories: what is right is accepted, what is wrong rejected, each time for the reason that it has."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from jsm.errors import BadValueError
from models.histories import History, Operation, make_history, read_history
from models.linearizability import HOLDS, UNDETERMINED, VIOLATED, check_history
from tests.client_histories import SECOND, Habits, client_history
from tests.history_cases import RIGHT, WRONG
from tests.history_lines import history, op, put, reserve
from tests.mutants.museum import MUSEUM
from tests.naive_linearizability import Naive
from tests.tiny_histories import tiny_history

DATA = Path(__file__).parent / "data" / "histories"

# ---------------------------------------------------------------------- right and wrong


@pytest.mark.parametrize("name", RIGHT)
def test_what_can_have_happened_is_accepted(name: str) -> None:
    result = check_history(history(*RIGHT[name]))
    assert result.verdict == HOLDS, "\n".join(result.rejection.lines() if result.rejection else [])
    assert result.finding is None
    assert result.operations == len(RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_what_can_not_have_happened_is_rejected_for_its_reason(name: str) -> None:
    operations, reason = WRONG[name]
    result = check_history(history(*operations))
    assert result.verdict == VIOLATED
    assert result.rejection is not None
    assert result.finding is not None
    told = [result.rejection.reason, *(f"{action}: {why}" for action, why in result.rejection.guards)]
    assert any(reason in each for each in told), told
    assert result.finding.name == "history_is_linearizable"
    assert len(result.rejection.prefix) >= result.rejection.placed


def test_every_prefix_of_a_rejected_history_short_of_the_fault_is_accepted() -> None:
    for operations, _ in WRONG.values():
        rejection = check_history(history(*operations)).rejection
        assert rejection is not None
        without = [operation for operation in operations if str(operation) != str(rejection.operation)]
        assert rejection.placed <= len(without)


def test_a_body_is_part_of_what_was_seen() -> None:
    seen = Operation("a", 2, 3, "reserve", {"tubes": ["t"], "timeout_seconds": 0}, {"ok": {"job_id": 1, "body": "x"}})
    first = put(0, 1, 1)
    right = first._replace(args={**first.args, "body": "x"})
    wrong = first._replace(args={**first.args, "body": "y"})
    assert check_history(history(right, seen)).verdict == HOLDS
    assert check_history(history(first, seen)).verdict == HOLDS  # nobody noted what was put
    found = check_history(history(wrong, seen))
    assert found.verdict == VIOLATED
    assert found.rejection is not None
    assert "the body of job 1 is 'y'" in found.rejection.reason


def test_a_rejection_tells_how_far_it_goes_and_why_no_farther() -> None:
    operations, _ = WRONG["the worse of two priorities"]
    rejection = check_history(history(*operations)).rejection
    assert rejection is not None
    assert rejection.lines() == [
        "2 operations can be put in order, the last of them:",
        "  producer: put(tube='t', priority=1, delay_seconds=0, ttr_seconds=9) → 1 [0, 1]",
        "  producer: put(tube='t', priority=0, delay_seconds=0, ttr_seconds=9) → 2 [2, 3]",
        "then",
        "  the clock is at 2 at least",
        "  job 1 is ready: tube 't', priority 1",
        "  job 2 is ready: tube 't', priority 0",
        "and nothing can follow:",
        '  a: reserve(tubes=["t"], timeout_seconds=0) → {"job_id": 1} [4, 5]: '
        "job 2 is ready too, and comes before job 1",
    ]


def test_a_deviation_is_allowed_when_it_is_named() -> None:
    late = history(*WRONG["an expiry too late"][0])
    assert check_history(late).verdict == VIOLATED
    assert check_history(late, deviations=["KB-12"]).verdict == VIOLATED
    assert check_history(late, deviations=["KB-1"]).verdict == HOLDS
    unfair = history(*WRONG["the later of two waiting clients served"][0])
    assert check_history(unfair, deviations=["KB-1", "one-by-one"]).verdict == VIOLATED
    assert check_history(unfair, deviations=["KB-12"]).verdict == HOLDS


def test_jobs_kicked_together_are_handed_out_best_first_unless_one_by_one() -> None:
    operations = [
        put(0, 1, 1, priority=5),
        reserve("a", 2, 3, 1),
        op("a", 4, 5, "bury", 1, 5),
        put(6, 7, 2, priority=1),
        reserve("a", 8, 9, 2),
        op("a", 10, 11, "bury", 2, 1),
        reserve("b", 12, 24, 1, timeout=2),
        op("a", 20, 21, "kick_n", "t", 2, to=2),
        reserve("a", 25, 26, 2),
    ]
    assert check_history(history(*operations)).verdict == VIOLATED
    assert check_history(history(*operations), deviations=["KB-1", "KB-12"]).verdict == VIOLATED
    assert check_history(history(*operations), deviations=["one-by-one"]).verdict == HOLDS


def test_the_lateness_of_the_server_is_an_option() -> None:
    operations = [put(0, 1, 1, ttr=1), reserve("a", 2, 3, 1), op("a", 17, 18, "touch", 1)]
    assert check_history(history(*operations), lateness=4).verdict == HOLDS
    assert check_history(history(*operations), lateness=3).verdict == VIOLATED
    early = [put(0, 1, 1, ttr=1), reserve("a", 2, 3, 1), reserve("b", 9, 10, 1)]
    assert check_history(history(*early), earliness=1).verdict == VIOLATED
    assert check_history(history(*early), earliness=2).verdict == HOLDS


@pytest.mark.parametrize("option", ["lateness", "earliness", "max_states"])
def test_a_bad_option_is_refused(option: str) -> None:
    with pytest.raises(BadValueError, match=f"{option} = -1"):
        check_history(history(), **{option: -1})


def test_an_unknown_deviation_is_refused() -> None:
    with pytest.raises(BadValueError, match="deviations = 'KB-3': expected some of KB-1, KB-12"):
        check_history(history(), deviations=["KB-3"])


def test_a_bound_that_is_hit_is_no_pass() -> None:
    result = check_history(client_history(1, Habits()), max_states=50)
    assert result.verdict == UNDETERMINED
    assert "no answer after" in result.reason
    assert result.finding is None


def test_tubes_that_have_nothing_to_do_with_each_other_are_searched_apart() -> None:
    operations = [
        put(0, 9, 1, tube="t"),
        put(0, 9, 2, tube="u", client="b"),
        reserve("c", 0, 9, 1, tubes="t"),
        reserve("d", 0, 9, 2, tubes="u"),
    ]
    assert check_history(history(*operations)).parts == 2
    tied = [*operations, reserve("c", 10, 11, "timeout", tubes="u")]
    assert check_history(history(*tied)).parts == 1


def test_what_fits_apart_but_not_together_is_rejected() -> None:
    operations = [
        put(0, 100, 1, tube="t", client="a"),
        reserve("c", 50, 51, "timeout", tubes="t"),
        reserve("c", 60, 61, 1, tubes="t"),
        put(0, 100, 2, tube="u", client="b"),
        reserve("d", 39, 40, 2, tubes="u"),
    ]
    assert check_history(history(*operations[:3])).verdict == HOLDS
    assert check_history(history(*operations[3:])).verdict == HOLDS
    assert check_history(history(*operations)).verdict == VIOLATED


def test_the_schedule_is_an_order_within_all_windows() -> None:
    given = client_history(5, Habits())
    result = check_history(given, lateness=0)
    assert result.verdict == HOLDS
    instants = [event.at for event in result.schedule]
    assert instants == sorted(instants)
    seen = {}
    for event in result.schedule:
        if event.operation is not None:
            seen[id(event.operation)] = event
    assert len(seen) == len(given.operations)
    for event in seen.values():
        assert event.operation is not None
        assert event.operation.returned_at is not None
        assert event.operation.called_at <= event.at <= event.operation.returned_at
    assert result.hidden == sum(event.operation is None for event in result.schedule)


# ---------------------------------------------------------------------- clients of the machine

LATE = SECOND // 5

HABITS = {
    "in time": Habits(),
    "late timers": Habits(late_max=LATE),
    "many clients": Habits(clients=8, operations=300, think_max=600, way_max=20),
    "crashes": Habits(crash=0.01, operations=100),
    "one tube": Habits(tubes=("default",)),
    "long ways": Habits(way_max=300, operations=80),
}


@pytest.mark.parametrize("name", HABITS)
def test_every_history_of_clients_of_the_machine_is_accepted(name: str) -> None:
    for seed in range(4):
        result = check_history(client_history(seed, HABITS[name]), lateness=HABITS[name].late_max)
        assert result.verdict == HOLDS, (seed, result.reason, result.rejection and result.rejection.lines())


@pytest.mark.slow
@pytest.mark.parametrize("name", HABITS)
def test_very_many_histories_of_clients_of_the_machine_are_accepted(name: str) -> None:
    for seed in range(1000, 1060):
        result = check_history(client_history(seed, HABITS[name]), lateness=HABITS[name].late_max)
        assert result.verdict == HOLDS, (seed, result.reason, result.rejection and result.rejection.lines())


def lives(given: History) -> dict[int, list[Operation]]:
    """The operations that name each job, by their calls; those of jobs that a kick_n or an expiry may move, too."""
    found: dict[int, list[Operation]] = {}
    for operation in given.operations:
        outcome = operation.outcome or {}
        value = outcome.get("ok")
        job = value["job_id"] if isinstance(value, dict) else operation.args.get("job_id")
        if operation.op == "put":
            job = value
        if isinstance(job, int):
            found.setdefault(job, []).append(operation)
    return found


def spoilt(given: History, seed: int) -> list[tuple[str, Sequence[Operation]]]:
    """The history with one impossible operation more, in several ways; those that it offers room for."""
    random = Random(seed)
    found: list[tuple[str, Sequence[Operation]]] = []
    for job, operations in lives(given).items():
        first, *rest = operations
        if first.op != "put" or not rest or first.returned_at is None:
            continue
        second = rest[0]
        args = first.args
        if args["delay_seconds"] == 0 and second.called_at - first.returned_at >= 3 and args["tube"] == "t":
            at = first.returned_at + 1
            extra = reserve("z", at, at + 1, "timeout", tubes="t")
            found.append(("timeout while a job was ready", [*given.operations, extra]))
            extra = op("z", at, at + 1, "get_job", job, to="missing")
            found.append(("lost job", [*given.operations, extra]))
        for operation, after in pairwise(rest):
            ended = operation.returned_at
            if operation.op == "reserve" and operation.outcome and "ok" in operation.outcome and ended is not None:
                until = min(after.called_at, operation.called_at + args["ttr_seconds"] * SECOND)
                if until - ended >= 3:
                    extra = op("z", ended + 1, ended + 2, "reserve_job", job, to=job)
                    found.append(("reserved twice", [*given.operations, extra]))
        last = rest[-1]
        if last.op == "delete" and last.outcome == {"ok": None} and last.returned_at is not None:
            extra = reserve("z", last.returned_at + 1, last.returned_at + 2, job, tubes="default t")
            found.append(("delivered after its delete", [*given.operations, extra]))
            extra = op("z", last.returned_at + 1, last.returned_at + 2, "kick", job)
            found.append(("kicked after its delete", [*given.operations, extra]))
    random.shuffle(found)
    return found


def test_every_spoilt_history_is_rejected() -> None:
    kinds: dict[str, int] = {}
    for seed in range(8):
        for kind, operations in spoilt(client_history(seed, Habits(operations=120)), seed)[:6]:
            result = check_history(make_history(operations, units_per_second=SECOND), lateness=0)
            assert result.verdict == VIOLATED, (seed, kind, result.verdict)
            kinds[kind] = kinds.get(kind, 0) + 1
    assert len(kinds) == 5, kinds


@pytest.mark.slow
def test_very_many_spoilt_histories_are_rejected() -> None:
    for seed in range(100, 160):
        for kind, operations in spoilt(client_history(seed, Habits(late_max=LATE)), seed)[:20]:
            result = check_history(make_history(operations, units_per_second=SECOND), lateness=LATE)
            assert result.verdict == VIOLATED, (seed, kind, result.verdict)


# ---------------------------------------------------------------------- the naive checker


def compare(seeds: range, *, operations: int) -> dict[bool, int]:
    """How many tiny histories both checkers accept and reject; fails where they differ."""
    counts = {True: 0, False: 0}
    for seed in seeds:
        given = tiny_history(seed, operations=operations)
        lateness = seed % 3
        accepted = Naive(given, lateness=lateness).accepts()
        result = check_history(given, lateness=lateness)
        assert result.verdict == (HOLDS if accepted else VIOLATED), (seed, [str(each) for each in given.operations])
        counts[accepted] += 1
    return counts


def test_the_naive_checker_agrees_on_tiny_histories() -> None:
    counts = compare(range(220), operations=5)
    assert counts[True] > 100
    assert counts[False] > 20


@pytest.mark.slow
def test_the_naive_checker_agrees_on_thousands_of_tiny_histories() -> None:
    counts = compare(range(1000, 5000), operations=5)
    assert counts[False] > 500


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("path", sorted(DATA.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_example_files_get_the_verdict_in_their_names(path: Path) -> None:
    with path.open("rb") as lines:
        result = check_history(read_history(lines))
    assert path.stem.startswith(result.verdict)
    assert result.as_json()["verdict"] == result.verdict


# ---------------------------------------------------------------------- faults of machines

SEEN_BY_CLIENTS = {
    "DeleteRefusesDelayed": 1,
    "ReleaseSwapsArguments": 1,
    "ReleaseByAnyone": 1,
    "DeleteByAnyone": 1,
    "KickTakesReady": 1,
    "KickNLeavesDelayed": 1,
    "KickMovesTheSoonest": 1,
    "KickNCountsWishes": 1,
    "KickNGoesOn": 3,
    "WarningBeforeJob": 1,
    "FirstTubeWins": 1,
    "TimeoutWraps": 1,
    "PriorityIgnored": 1,
    "AppendIgnoresThePause": 2,
    "OneSecondLate": 2,
    "TtrRunsFromThePut": 3,
    "DelayInUnits": 3,
    "TouchAddsToTheDeadline": 5,
    "BodyCutShort": 1,
}
"""Exhibits of the museum whose faults clients see, each with the number of histories of which one shows it."""


@pytest.mark.parametrize("name", SEEN_BY_CLIENTS)
def test_the_clients_of_a_machine_with_a_fault_see_it(name: str) -> None:
    machine = next(each.machine for each in MUSEUM if each.name == name)
    histories = [
        client_history(seed, Habits(operations=150), make_machine=machine) for seed in range(SEEN_BY_CLIENTS[name])
    ]
    verdicts = [check_history(each, lateness=0).verdict for each in histories]
    assert VIOLATED in verdicts
    assert UNDETERMINED not in verdicts
