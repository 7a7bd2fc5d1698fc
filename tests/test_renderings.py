"""The four renderings of counterexamples: what they say, and that they run, parse and replay."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jsm.errors import BadValueError
from jsm.job import JobID
from jsm.machine import Machine
from jsm.observed import apply
from jsm.records import CommandRecord
from jsm.trace import TraceError, read_trace
from models.call_words import call_in_words, outcome_in_words
from models.calls import Call
from models.differing import narrowed
from models.finding import Counterexample, Finding, find_fault
from models.minimise import minimise
from models.named_calls import canonical
from models.observations import literal
from models.rendering_mermaid import check_diagram, escaped
from models.rendering_pytest import target_of_maker
from models.rendering_trace import counterexample_of
from models.renderings import FORMS, file_names, render, write_counterexample
from models.unrolled import unrolled
from reports.tools.counterexamples import FAULTS, TARGET, counterexamples_text, found_in
from tests.mutants.exhibit import ask, call, put, take, tick
from tests.mutants.museum import EXHIBITS

MACHINES = {exhibit.name: exhibit.machine for exhibit in EXHIBITS}
SAMPLE = EXHIBITS[::5]

NASTY = (
    "end",
    "END",
    "a;b",
    "#35;",
    "<b>x</b>",
    'say "hi"',
    "{x}",
    "%%{init}%%",
    "->>",
    "é 漢",
    "two\nlines",
    "\\n",
    "`x`",
)


def found(name: str) -> Counterexample:
    """The museum's counterexample of a mutant."""
    (exhibit,) = (each for each in EXHIBITS if each.name == name)
    finding = find_fault(exhibit.calls, make_machine=exhibit.machine, units_per_second=exhibit.units_per_second)
    assert finding is not None
    return Counterexample(tuple(map(canonical, exhibit.calls)), finding, exhibit.units_per_second)


def of_calls(*calls: Call, machine: type[Machine]) -> Counterexample:
    """The counterexample that some calls are."""
    finding = find_fault(calls, make_machine=machine)
    assert finding is not None
    return Counterexample(tuple(calls), finding)


class Crashes(Machine):
    """A kick raises what is no refusal."""

    __slots__ = ()

    def kick(self, job_id: JobID, *, now: int | None = None) -> None:
        """Raise."""
        raise KeyError(job_id)


# ---------------------------------------------------------------------- steps

EXPIRY_LOST = """\
an_expired_job_leaves_its_owner (L1 S14) is broken by 3 calls
  After a tick no job is reserved whose ttr is over, whether its owner speaks or not

     1. at 0: put a job into tube default: priority 0, ttr 1 s → job 1
          job 1: new → ready
     2. at 0: client a reserves job 1 by its id → gets job 1
          job 1: ready → reserved by a, expires at 1
   ✗ 3. at 1: tick → nobody is told anything
          nothing changed
   ✓ 3. by the specification → nobody is told anything
          job 1: reserved → ready (ttr-expired)

  found:     job 1 is still reserved, its ttr was over at 1
  expected:  no longer
"""


def test_steps_say_what_was_asked_what_changed_and_what_is_right() -> None:
    name = "TtrLostOnTheDeadline"
    assert render(found(name), "steps", make_machine=MACHINES[name]) == EXPIRY_LOST


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("DelayInUnits", ["at 0 (0 s)", "✗ 3.", "delayed, ready at 1", "✓ 3.", "delayed, ready at 4"]),
        ("TimeoutsNotCounted", ["(ttr-expired), timeouts stays 0"]),
        ("LastWaiterJumpsAhead", ["the same, but then", "in the order b, c; the machine: waiting in the order c, b"]),
        ("WrongTimerRemoved", ["next tick due at 1; the machine: "]),
        (
            "CloseLeavesTheAnswer",
            ["client a: waits no longer, owed the answer that it gets job 1", "client a: forgotten"],
        ),
        ("TimeGoesBack", ["tick, now = ", "→ refused: time-backwards"]),
        ("TubeVanishesWithItsWaiter", ["tube t: made", "tube t: gone"]),
        ("PauseZeroEndsAtOnce", ["pause tube default for 0 s", "paused until 0"]),
        ("OwnersLost", ["take a snapshot and go on with a new machine restored from it", "owner a → nobody"]),
        ("TouchAddsToTheDeadline", ["expires at 1 → 2", "✓ 3."]),
    ],
)
def test_steps_name_what_matters(name: str, lines: list[str]) -> None:
    text = render(found(name), "steps", make_machine=MACHINES[name])
    place = 0
    for line in lines:
        assert line in text[place:]
        place = text.index(line, place)


@pytest.mark.parametrize("exhibit", SAMPLE, ids=lambda exhibit: exhibit.name)
def test_steps_are_read_without_scrolling(exhibit: Any) -> None:
    text = render(found(exhibit.name), "steps", make_machine=exhibit.machine)
    assert max(map(len, text.splitlines())) <= 110
    assert text.count("✗") == 1
    assert re.findall(r"^   [ ✗] *(\d+)\. ", text, re.MULTILINE) == [str(n + 1) for n in range(len(exhibit.calls))]


def test_a_machine_without_the_fault_is_told_as_it_is() -> None:
    text = render(found("FirstTubeWins"), "steps")
    assert "✓" not in text
    assert "client a asks for a job of t, u → gets job 2" in text


def test_a_crash_is_an_answer_like_any_other() -> None:
    crash = of_calls(put(), call("kick", 1), machine=Crashes)
    assert "✗ 2. at 0: kick job 1 → raised KeyError(1)" in render(crash, "steps", make_machine=Crashes)
    assert counterexample_of(render(crash, "jsonl", make_machine=Crashes).splitlines()) == crash


# ---------------------------------------------------------------------- pytest


def outcomes(source: str, name: str) -> bool:
    """Whether the test passes, on the machine that it imports."""
    names: dict[str, Any] = {}
    exec(compile(source, name, "exec"), names)
    (test,) = (value for key, value in names.items() if key.startswith("test_"))
    try:
        test()
    except (AssertionError, Exception, pytest.fail.Exception):
        return False
    return True


def check_test(name: str, make_machine: Callable[..., Machine]) -> None:
    """The test fails on the faulty machine and passes on the right one."""
    shown = found(name)
    assert not outcomes(render(shown, "pytest", make_machine=make_machine), name)
    assert outcomes(render(shown, "pytest", make_machine=make_machine, target="jsm:Machine"), name)


@pytest.mark.parametrize("exhibit", SAMPLE, ids=lambda exhibit: exhibit.name)
def test_the_test_tells_the_faulty_machine_from_the_right_one(exhibit: Any) -> None:
    check_test(exhibit.name, exhibit.machine)


@pytest.mark.slow
@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_the_test_of_every_exhibit_does(exhibit: Any) -> None:
    check_test(exhibit.name, exhibit.machine)


def test_written_tests_run_by_themselves(tmp_path: Path) -> None:
    names = ("FirstTubeWins", "OwnersLost", "OnlyMatchesDelivered", "CloseBySoonestExpiry")
    for name in names:
        for target, machine in ((None, "faulty"), ("jsm:Machine", "right")):
            source = render(found(name), "pytest", make_machine=MACHINES[name], target=target)
            imports = re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
            assert {*imports} <= {"jsm", "pytest", *(["tests"] if target is None else [])}
            assert max(map(len, source.splitlines())) <= 120
            (tmp_path / f"test_{machine}_{name}.py").write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "-rA", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    verdicts = sorted(re.findall(r"^(PASSED|FAILED) \S*test_(faulty|right)_", done.stdout, re.MULTILINE))
    assert verdicts == [("FAILED", "faulty")] * len(names) + [("PASSED", "right")] * len(names), done.stdout


def test_a_refusal_is_asserted_by_its_category() -> None:
    source = render(found("KickTakesReady"), "pytest", make_machine=MACHINES["KickTakesReady"])
    assert "    with pytest.raises(JsmError) as refused:\n        machine.kick(1)\n" in source
    assert 'assert refused.value.refusal == "wrong-state"' in source


def test_where_to_import_from() -> None:
    assert target_of_maker(Machine) == "jsm:Machine"
    assert target_of_maker(Crashes) == f"{__name__}:Crashes"
    assert target_of_maker(lambda **settings: Machine(**settings)) == "jsm:Machine"
    with pytest.raises(BadValueError, match=r"target = 'jsm\.Machine': expected a module and a name"):
        render(found("KickTakesReady"), "pytest", target="jsm.Machine")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", '"a"'), ('a"b', "'a\"b'"), (b"x", 'b"x"'), (("a",), '("a",)'), ({"t": [None, 1]}, '{"t": [None, 1]}')],
)
def test_values_are_written_as_a_formatted_program_has_them(value: object, text: str) -> None:
    assert literal(value) == text
    assert eval(text) == value


# ---------------------------------------------------------------------- mermaid


@pytest.mark.parametrize("exhibit", SAMPLE, ids=lambda exhibit: exhibit.name)
def test_diagrams_are_well_formed(exhibit: Any) -> None:
    text = render(found(exhibit.name), "mermaid", make_machine=exhibit.machine)
    check_diagram(text)
    assert len(re.findall(r"->>M: \d+\. at ", text)) == len(exhibit.calls)
    assert text.count("rect rgb") == 1


@pytest.mark.parametrize("name", NASTY)
def test_no_name_breaks_a_rendering(name: str) -> None:
    calls = (
        call("watch_tube", name, "t"),
        put(body=name.encode(), tube=";$_()"),
        put(),
        take(0, 2, name),
        call("kick", 1),
    )
    shown = Counterexample(calls, Finding(f"lock-step {name}", "S1", name, name, name, 4), 2)
    machine = MACHINES["KickTakesReady"]
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), escaped(name)) == name
    check_diagram(render(shown, "mermaid", make_machine=machine))
    assert render(shown, "steps", make_machine=machine).count("✗") == 1
    assert not outcomes(render(shown, "pytest", make_machine=machine), "nasty")
    assert counterexample_of(render(shown, "jsonl", make_machine=machine).splitlines()) == shown


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("sequenceDiagram", "graph TD", 1),
        ("participant M", "participant P", 5),
        ("P->>M: 1.", "Q->>M: 1.", 6),
        ("C1->>M: 2.", "C2->>M: 2.", 9),
        ("gets job 1", "gets; job 1", 10),
        ("job 1: new", "job #1: new", 8),
        ("nobody is told anything", "the end", 14),
        ("tick", "tick <b>", 13),
        ("    end\n", "", 15),
        ("    rect rgb(255, 228, 225)\n", "", 15),
        ("nobody is told anything", "", 14),
    ],
)
def test_the_check_of_diagrams_finds_what_would_not_parse(old: str, new: str, line: int) -> None:
    name = "TtrLostOnTheDeadline"
    text = render(found(name), "mermaid", make_machine=MACHINES[name])
    with pytest.raises(ValueError, match=rf"^line {line}: "):
        check_diagram(text.replace(old, new, 1))


# ---------------------------------------------------------------------- traces


def replayed(text: str, make_machine: Callable[..., Machine]) -> list[tuple[Any, Any]]:
    """The outcomes of a trace's commands: as recorded, and as they are on a new machine."""
    trace = read_trace(text.splitlines())
    machine = make_machine(units_per_second=trace.units_per_second)
    commands = [record for record in trace.records if isinstance(record, CommandRecord)]
    return [(record.outcome, apply(machine, record)) for record in commands]


def test_a_trace_is_read_replayed_and_given_back() -> None:
    shown = found("FirstTubeWins")
    text = render(shown, "jsonl", make_machine=MACHINES["FirstTubeWins"])
    assert all(recorded == again for recorded, again in replayed(text, MACHINES["FirstTubeWins"]))
    assert [recorded == again for recorded, again in replayed(text, Machine)] == [True, True, False]
    assert counterexample_of(text.splitlines()) == shown


@pytest.mark.parametrize("exhibit", SAMPLE, ids=lambda exhibit: exhibit.name)
def test_every_trace_gives_its_counterexample_back(exhibit: Any) -> None:
    shown = found(exhibit.name)
    text = render(shown, "jsonl", make_machine=exhibit.machine)
    assert counterexample_of(text.splitlines()) == shown
    assert len(list(read_trace(text.splitlines()).records)) == len(text.splitlines()) - 1


def test_another_trace_is_no_counterexample() -> None:
    lines = render(found("FirstTubeWins"), "jsonl").splitlines()
    with pytest.raises(TraceError, match="line 1: counterexample = None: expected the finding"):
        counterexample_of(['{"format":"jsm-trace","version":1,"units_per_second":1}', *lines[1:]])
    with pytest.raises(TraceError, match="with all its fields"):
        counterexample_of([lines[0].replace('"clause"', '"claws"'), *lines[1:]])


# ---------------------------------------------------------------------- loops

LASSO = Counterexample(
    (put(ttr=1), take(0, 1, "a"), ask(0, "b"), put(0, ttr=9), tick(1)),
    Finding("a_reserved_job_is_left", "L1", "A reserved job is left by its deadline", "it is ready", "never", 4),
    loop_start=3,
)


def test_a_loop_is_shown_as_one_in_all_renderings() -> None:
    machine = MACHINES["TtrLostOnTheDeadline"]
    steps = render(LASSO, "steps", make_machine=machine)
    assert steps.startswith("a_reserved_job_is_left (L1) is broken by 5 calls, of which the last 2 repeat for ever\n")
    assert "  ┌─ from here on the same for ever, each round 1 later\n  │  4. at 0:" in steps
    assert "  └─ back to call 4\n" in steps
    diagram = render(LASSO, "mermaid", make_machine=machine)
    check_diagram(diagram)
    assert "    loop for ever, each round 1 later\n" in diagram
    assert counterexample_of(render(LASSO, "jsonl", make_machine=machine).splitlines()) == LASSO
    assert not outcomes(render(LASSO, "pytest", make_machine=machine), "lasso")
    assert outcomes(render(LASSO, "pytest", make_machine=machine, target="jsm:Machine"), "lasso")


def test_rounds_come_later_and_have_their_own_jobs() -> None:
    loop = Counterexample(
        (put(), put(1), take(1, 2, "a"), call("delete", 1, "a"), tick(2)), LASSO.finding, loop_start=1
    )
    assert unrolled(loop, 2, 5)[5:] == (put(6), take(6, 3, "a"), call("delete", 1, "a"), tick(7))
    assert unrolled(loop, 1, 5) == loop.calls


# ---------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            put(3, tube="t", pri=2, delay=4, body=b"abc"),
            "put a job into tube t: priority 2, delay 4 s, ttr 2 s, body b'abc'",
        ),
        (ask(0, "a", "t", "u", until=5), "client a asks for a job of t, u, until 5"),
        (ask(4, "a", until=4), "client a asks for a job of default, without waiting"),
        (call("kick_n", "t", 1), "kick at most 1 job of tube t"),
        (call("check_client_state", ("a",)), "ask which of ['a'] wait"),
        (call("kick"), "kick()"),
        (call("nonsense", 1), "nonsense(1)"),
    ],
)
def test_calls_in_words(asked: Call, words: str) -> None:
    assert call_in_words(asked) == words


def test_answers_in_words() -> None:
    answers = [("r", "a", "matched", 1, b""), ("r", "b", "timeout", 0, b""), ("r", "c", "deadline-soon", 0, b"")]
    assert outcome_in_words("tick", {"ok": answers}) == (
        "client a gets job 1, then client b is told: timed out, then client c is told: deadline soon"
    )
    assert outcome_in_words("kick_n", {"ok": 2}) == "2 jobs kicked"
    assert (
        outcome_in_words("check_client_state", {"ok": (["a"], [], [])})
        == "waiting: a; not waiting: none; unknown: none"
    )


def test_a_difference_is_cut_down_to_the_field() -> None:
    view = (1, "t", b"", 0, 0, 1, "ready", 0, 0, 0, 0, None, 0, 0, 0, 0, 0)
    other = (*view[:12], 1, *view[13:])
    assert narrowed("state jobs", [(view, 0)], [(other, 0)]) == ("job 1: reserves = 0", "job 1: reserves = 1")
    assert narrowed("outcome", {"ok": None}, {"refused": "missing"}) == ("accepted", "refused: missing")
    assert narrowed("state numbers", (1, 2, 3), (1, 2, 4)) == (
        "numbers: next_bury_number = 3",
        "numbers: next_bury_number = 4",
    )


# ---------------------------------------------------------------------- files


def test_all_four_are_written_and_nothing_else(tmp_path: Path) -> None:
    name = "FirstTubeWins"
    shown, folder = found(name), tmp_path / "new" / "place"
    for _ in range(2):  # the second time over the first
        paths = write_counterexample(folder, shown, make_machine=MACHINES[name])
        assert [path.name for path in paths] == [*file_names(shown).values()]
        assert sorted(folder.iterdir()) == sorted(paths)
    for form, path in zip(FORMS, paths, strict=True):
        assert path.read_text("utf-8") == render(shown, form, make_machine=MACHINES[name])


def test_nothing_is_written_where_a_rendering_fails(tmp_path: Path) -> None:
    with pytest.raises(BadValueError):
        write_counterexample(tmp_path / "none", found("FirstTubeWins"), target="?")
    assert not (tmp_path / "none").exists()
    with pytest.raises(BadValueError, match="form = 'html': expected one of steps, pytest, mermaid, jsonl"):
        render(LASSO, "html")
    with pytest.raises(ValueError, match="at least one call"):
        render(Counterexample((), LASSO.finding), "steps")


# ---------------------------------------------------------------------- the report


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.machine.__name__)
def test_a_fault_of_the_report_is_found_made_short_and_told(fault: Any) -> None:
    short = minimise(found_in(fault), make_machine=fault.machine)
    assert len(short.calls) == 3 < len(fault.calls)
    for target, passes in ((None, False), ("jsm:Machine", True)):
        assert outcomes(render(short, "pytest", make_machine=fault.machine, target=target), "report") is passes


def test_the_diagrams_of_the_report_are_well_formed() -> None:
    diagrams = re.findall(r"```mermaid\n(.*?)```", TARGET.read_text("utf-8"), re.DOTALL)
    assert len(diagrams) == len(FAULTS)
    for diagram in diagrams:
        check_diagram(diagram)


@pytest.mark.slow
def test_the_report_is_what_its_command_writes() -> None:
    assert TARGET.read_text("utf-8") == counterexamples_text(), "run: python -m reports.tools.counterexamples"
