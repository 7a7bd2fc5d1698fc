"""The whole corpus in virtual time, whole and in pieces of every size; the table of deviations; the judge."""

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jsm.wire.broker import Broker
from models.conformance import (
    Judgement,
    Report,
    Verdict,
    conform,
    installed_corpus,
    installed_deviations,
    judge_entry,
    read_corpus,
    standard_of,
)
from models.conformance_corpus import Corpus, Entry
from models.conformance_deviations import NO_DEVIATIONS, Deviation, Deviations, check_names, read_deviations
from models.conformance_virtual import virtual
from tests.conformance_cases import bad_input, conversation, step, write_corpus

CORPUS = installed_corpus()
TABLE = installed_deviations()


def judged(entry: Entry, table: Deviations = TABLE) -> Judgement:
    return judge_entry(entry, virtual, table=table)


def told(judgement: Judgement) -> list[str]:
    """What a failing test prints."""
    return [judgement.name, *(line for each in judgement.differences for line in (each.action, *each.lines))]


# ---------------------------------------------------------------------- the corpus


@pytest.mark.parametrize("entry", CORPUS.entries, ids=lambda entry: str(entry.name))
def test_the_broker_answers_as_recorded_or_as_declared(entry: Entry) -> None:
    judgement = judged(entry)
    declared = entry.name in TABLE.conversations or entry.name in TABLE.inputs
    assert judgement.verdict is (Verdict.DECLARED if declared else Verdict.OK), told(judgement)


@pytest.mark.parametrize("seed", range(5))
def test_no_answer_depends_on_how_the_bytes_are_cut(seed: int) -> None:
    player = partial(virtual, cuts=random.Random(seed))
    judgements = list(conform(CORPUS, player, table=TABLE))
    assert judgements == list(conform(CORPUS, virtual, table=TABLE))


def test_every_deviation_is_of_something_and_deviates() -> None:
    check_names(TABLE, CORPUS)
    for entry in CORPUS.entries:
        if entry.name in TABLE.conversations or entry.name in TABLE.inputs:
            assert judged(entry, NO_DEVIATIONS).verdict is Verdict.DIFFERS, f"{entry.name} deviates no more"


def test_the_report_of_the_broker_holds() -> None:
    report = Report(tuple(conform(CORPUS, virtual, table=TABLE)))
    assert report.verdict == "holds"
    assert report.counts[Verdict.DIFFERS] == report.counts[Verdict.LEFT_OUT] == report.counts[Verdict.RECORDED] == 0
    assert [each["name"] for each in report.to_json()["findings"]] == [*TABLE.conversations, *TABLE.inputs]


# ---------------------------------------------------------------------- the judge


def one(tmp_path: Path, entry: dict[str, Any]) -> Entry:
    [read] = read_corpus([write_corpus(tmp_path, entry)]).entries
    return read


PUT = step("put 0 0 9 1\r\na\r\n", "INSERTED 1\r\n")


def test_a_wrong_reply_is_told_with_step_and_both_replies(tmp_path: Path) -> None:
    judgement = judged(one(tmp_path, conversation(PUT, step("delete 1\r\n", "NOT_FOUND\r\n"))))
    assert judgement.verdict is Verdict.DIFFERS
    [found] = judgement.differences
    assert (found.step, found.connection, found.action) == (2, 1, "send delete 1\\r\\n")
    assert found.lines == ("- NOT_FOUND\\r\\n", "+ DELETED\\r\\n")


@pytest.mark.parametrize(
    "steps",
    [
        (step("use x\r\nuse y\r\n", "USING x\r\n"),),  # a reply that no step asked for
        (step("use x\r\n"),),  # one where none should come
        (step("reserve\r\n", "TIMED_OUT\r\n"),),  # none where one should
        (step("use x\r\nuse y\r\n", "USING x\r\n"), step("", op="none"), step("", "USING y\r\n", op="recv")),
        (step("quit\r\n", "OK 0\r\n<EOF>"),),
    ],
)
def test_replies_too_many_and_too_few_differ(tmp_path: Path, steps: tuple[dict[str, Any], ...]) -> None:
    assert judged(one(tmp_path, conversation(*steps))).verdict is Verdict.DIFFERS


def test_everything_a_step_can_do(tmp_path: Path) -> None:
    talk = conversation(
        step("reserve\r\nuse t\r\n"),
        step("", op="none"),
        step("put 0 1 9 1\r\na\r\n", "INSERTED 1\r\n", conn=2),
        step("", "RESERVED 1 1\r\na\r\n", op="recv", wait=1),
        step("", "USING t\r\n", op="recv"),
        step("", op="drain", conn=0),
        step("put 0 0 9 1\r\nb\r\n", "DRAINING\r\n", conn=2),
        step("", op="close"),
        step("peek 1\r\nquit\r\n", "FOUND 1 1\r\na\r\n<EOF>", conn=2),
        step("reserve-with-timeout 5\r\n", "RESERVED 1 1\r\na\r\n", conn=3),
        step("reserve\r\n", conn=3),
        step("", op="shut", conn=3),
        step("", "TIMED_OUT\r\n<EOF>", op="recv", conn=3),
    )
    assert judged(one(tmp_path, talk)).verdict is Verdict.OK


def test_a_fault_that_is_not_to_be_imitated(tmp_path: Path) -> None:
    fault = step("delete 1\r\n", "NOT_FOUND\r\n")
    right = step("delete 1\r\n", "DELETED\r\n")
    assert judged(one(tmp_path, conversation(PUT, fault, do_not_imitate=True))).verdict is Verdict.OK
    imitated = judged(one(tmp_path, conversation(PUT, right, do_not_imitate=True, note="the reason")))
    assert imitated.verdict is Verdict.DIFFERS
    assert "the reason" in imitated.reason
    earlier = conversation(step("delete 1\r\n", "DELETED\r\n"), fault, do_not_imitate=True)
    assert judged(one(tmp_path, earlier)).differences[0].step == 1


def test_a_conversation_with_a_known_race_is_played_again(tmp_path: Path) -> None:
    made = []

    def make_player(arguments: tuple[str, ...] = ()) -> Any:
        made.append(arguments)
        return virtual(arguments)

    wrong = conversation(step("delete 1\r\n", "DELETED\r\n"), known_race="it is a race")
    judgement = judge_entry(one(tmp_path, wrong), make_player, table=NO_DEVIATIONS)
    assert (judgement.verdict, judgement.reason, len(made)) == (Verdict.DIFFERS, "it is a race", 3)


def test_a_declared_deviation_excuses_its_reply_and_no_other(tmp_path: Path) -> None:
    entry = one(tmp_path, conversation(PUT, step("delete 1\r\n", "NOT_FOUND\r\n")))
    table = Deviations({"talk": Deviation("talk", "because", "SPEC 2", {2: b"DELETED\r\n"})}, {}, {})
    assert judged(entry, table)[2:5] == (Verdict.DECLARED, "because", "SPEC 2")
    table = Deviations({"talk": Deviation("talk", "because", "SPEC 2", {2: b"BURIED\r\n"})}, {}, {})
    assert judged(entry, table).verdict is Verdict.DIFFERS


@pytest.mark.parametrize(
    ("given", "standard"),
    [
        (bad_input("put x 0 1 1\r\na\r\n", "BAD_FORMAT\r\n", "BAD_FORMAT\r\nUNKNOWN_COMMAND\r\n"), "observed"),
        (bad_input("put 0 0 1 1\r\nabc\r\n", "EXPECTED_CRLF\r\n", "EXPECTED_CRLF\r\nUNKNOWN_COMMAND\r\n"), "observed"),
        (bad_input("use x\r\nput x\r\n", "USING x\r\n", "USING x\r\nBAD_FORMAT\r\n"), "observed"),
        (bad_input("kick -1\r\n", "BAD_FORMAT\r\n", "KICKED 0\r\n"), "expect_doc"),
        (bad_input("kick 1\r\n", "KICKED 0\r\n", "KICKED 0\r\nKICKED 0\r\n"), "expect_doc"),
        (bad_input("quit now\r\n", "BAD_FORMAT\r\n", "<EOF>", in_sync=None), "expect_doc"),
    ],
)
def test_which_reply_to_an_input_is_the_standard(tmp_path: Path, given: dict[str, Any], standard: str) -> None:
    [read] = read_corpus([write_corpus(tmp_path, given)]).inputs
    assert standard_of(read) == (given[standard].encode(), b"USING default\r\n")


def test_a_bare_name_may_be_told_either_of_two(tmp_path: Path) -> None:
    for reply in ("BAD_FORMAT\r\n", "UNKNOWN_COMMAND\r\n"):
        assert judged(one(tmp_path, bad_input("put\r\n", reply))).verdict is Verdict.OK
        assert judged(one(tmp_path, bad_input("put\r\n", "INSERTED 1\r\n"))).verdict is Verdict.DIFFERS
    assert judged(one(tmp_path, bad_input("stats x\r\n", "UNKNOWN_COMMAND\r\n"))).verdict is Verdict.DIFFERS


def test_a_reply_as_recorded_is_told_apart(tmp_path: Path) -> None:
    entry = one(tmp_path, bad_input("kick 1\r\n", "BAD_FORMAT\r\n", "KICKED 0\r\n"))
    judgement = judged(entry)
    assert judgement.verdict is Verdict.RECORDED
    report = Report((judgement,))
    assert (report.verdict, report.strictly().verdict) == ("holds", "violated")


def test_what_needs_another_server_is_left_out(tmp_path: Path) -> None:
    report = Report((judged(one(tmp_path, bad_input("kick 1\r\n", "KICKED 0\r\n", args=["-b", "x"]))),))
    assert report.verdict == "undetermined"
    assert "-b x" in report.judgements[0].reason


# ---------------------------------------------------------------------- planted faults


@pytest.mark.parametrize(
    ("method", "found"),
    [
        ("_tick_if_due", {"ttr_nudged_ready", "reserved_close_to_waiter"}),
        ("drain", {"put_drain", "drain_put"}),
        ("receive_eof", {"halfclose_waiting", "half_rwt"}),
    ],
)
def test_planted_faults_are_found(monkeypatch: pytest.MonkeyPatch, method: str, found: set[str]) -> None:
    monkeypatch.setattr(Broker, method, lambda *args: None)
    assert {name for name in found if not judged_or_stuck(CORPUS.only([name]).entries[0])} == set()
    assert not judged_or_stuck(CORPUS.only(["put_pri_max"]).entries[0])


def judged_or_stuck(entry: Entry) -> bool:
    """Whether a faulty broker is noticed: by a reply, or since it never comes to rest."""
    from models.conformance import PlayerError

    try:
        return judged(entry).verdict is Verdict.DIFFERS
    except PlayerError:
        return True


# ---------------------------------------------------------------------- the table


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[[conversation]]\nname = 'x'\nreason = 'r'\nreference = 's'\n", "x: steps = {}: expected the steps"),
        ("[[conversation]]\nname = 'x'\nreason = 'r'\nreference = 's'\nsteps = {a = 'b'}\n", "x: steps = 'a'"),
        ("[[conversation]]\nname = 'x'\nreference = 's'\nsteps = {1 = 'b'}\n", "x: reason = None: expected a text"),
        ("[[conversation]]\nname = 'x'\nreason = 'r'\nreference = 's'\nsteps = {1 = 2}\n", "x = 2: expected a text"),
        ("[[input]]\nname = 'x'\nreason = 'r'\nreference = 's'\n", "x: reply = None: expected the reply"),
        ("[[inputs]]\n", "inputs = [{}]: expected the tables"),
        ("[", "expected a TOML document"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, content: str, line: str) -> None:
    path = tmp_path / "table.toml"
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=r"table\.toml") as refused:
        read_deviations(path)
    assert line in str(refused.value)


def test_a_table_for_another_corpus_is_refused(tmp_path: Path) -> None:
    small = Corpus((), ())
    with pytest.raises(ValueError, match="put_expected_crlf_burns_id"):
        check_names(TABLE, small)
    with pytest.raises(ValueError, match="expected the name of an input"):
        check_names(Deviations({}, TABLE.inputs, {}), small)
    far = Deviation("put_drain", "r", "s", {99: b"x"})
    with pytest.raises(ValueError, match="step = 99: expected 1 to 6"):
        check_names(Deviations({"put_drain": far}, {}, {}), CORPUS)
    with pytest.raises(ValueError, match="a table of deviations that can be read"):
        read_deviations(tmp_path / "none.toml")
