"""The reader of the corpus: what it reads, and the line that each wrong file gets."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.conformance_corpus import CorpusError, InputOp, StepOp, installed_corpus, read_corpus
from tests.conformance_cases import bad_input, conversation, step, write_corpus


def test_the_installed_corpus_is_whole() -> None:
    corpus = installed_corpus()
    recorded = [each for each in corpus.conversations if not each.name.startswith("more/")]
    assert (len(recorded), len(corpus.inputs)) == (75, 145)
    assert sum(each.do_not_imitate for each in corpus.conversations) == 1
    assert {step.op for each in corpus.conversations for step in each.steps} == set(StepOp)


def test_everything_a_file_may_hold(tmp_path: Path) -> None:
    talk = conversation(
        step("reserve\r\n", "RESERVED 1 1\r\n\xff\r\n", wait=2, slack=0.5, tolerance={"age": 1}),
        note="n",
        known_race="r",
    )
    given = bad_input(
        "",
        "",
        "<EOF>",
        setup="put 0 0 1 1\r\na\r\n<DRAIN><PARTIAL>use x\r\n",
        send_parts=["a", {"repeat": "bc", "times": 2}],
        ops=[["send", "x"], ["shut"], ["sleep", 0.1]],
        args=["-z", "10"],
        in_sync=None,
    )
    corpus = read_corpus([write_corpus(tmp_path, talk, given)])
    [read] = corpus.conversations
    assert read.wait_seconds == 2
    assert read.steps[0].reply == b"RESERVED 1 1\r\n\xff\r\n"
    assert dict(read.steps[0].tolerance) == {"age": 1}
    [case] = corpus.inputs
    assert case.send == b"abcbc"
    assert case.setup == (b"put 0 0 1 1\r\na\r\n", b"<DRAIN>", b"<PARTIAL>", b"use x\r\n")
    assert case.ops == (InputOp("send", b"x"), InputOp("shut"), InputOp("sleep", seconds=0.1))
    assert (case.arguments, case.in_step) == (("-z", "10"), None)


WRONG_STEPS: list[tuple[dict[str, Any], str]] = [
    (step("a", op="sned"), "op = 'sned': expected one of send, recv, none, close, shut, drain"),
    (step("a", conn=0), "conn = 0: expected a connection's number, from 1"),
    (step("a", conn=True), "conn = True: expected an integer from 0 to 1000000"),
    (step("a", wait=-1), "wait = -1: expected an integer from 0 to 1000000"),
    (step("a", wait=1.5), "wait = 1.5: expected an integer"),
    (step("a", slack="x"), "slack = 'x': expected a number of seconds, at least 0"),
    (step("\u0100"), "send = 'Ā': expected a text of characters up to U+00FF, one a byte"),
    (step(""), "send = '': expected bytes to send"),
    (step("x", op="recv"), "send = 'x': expected \"\", since recv sends nothing"),
    (step("", "OK\r\n", op="close"), "reply = 'OK\\r\\n': expected \"\", since close gets none"),
    (step("a", "b", n_replies=0), "n_replies = 0: expected the number of replies in `reply`"),
    (step("a", "", n_replies=2), "n_replies = 2: expected the number of replies in `reply`"),
    (step("a", "b", tolerance={"age": -1}), "tolerance['age'] = -1: expected an integer of at least 0"),
    (step("a", "b", tolerance=[]), "tolerance = []: expected an object of keys and numbers"),
]


@pytest.mark.parametrize(("wrong", "line"), WRONG_STEPS, ids=[line for _, line in WRONG_STEPS])
def test_a_wrong_step_is_named(tmp_path: Path, wrong: dict[str, Any], line: str) -> None:
    path = write_corpus(tmp_path, conversation(step("stats\r\n", "x"), wrong))
    with pytest.raises(CorpusError) as refused:
        read_corpus([path])
    assert str(refused.value).startswith(f"{path}: conversation 1 (talk), step 2: ")
    assert line in str(refused.value)


WRONG_ENTRIES: list[tuple[dict[str, Any], str]] = [
    (conversation(), "conversation 1 (talk): steps = []: expected at least one step"),
    (conversation(step("a"), name=""), "conversation 1: name = '': expected a name"),
    (conversation(step("a"), do_not_imitate=1), "do_not_imitate = 1: expected true or false"),
    (conversation(step("a"), do_not_imitate=True), "expected a last step with a reply, which is the fault"),
    (conversation(step("", op="close"), step("a")), "step 2: conn = 1: expected a connection that is still open"),
    (conversation(step("", op="shut"), step("a")), "step 2: conn = 1: expected a connection that is still open"),
    (bad_input("a", "b", args=[1]), "case 1 (input): args = 1: expected a list of texts"),
    (bad_input("a", "b", ops=[["wait"]]), 'ops = [\'wait\']: expected ["send", text], ["shut"] or ["sleep", seconds]'),
    (bad_input("a", "b", send_parts=["x"]), "send = 'a': expected \"\" beside `send_parts`"),
    (bad_input("", "b", send_parts=[{"repeat": "x", "times": -1}]), "send_parts = "),
    (bad_input("", "b", send_parts=[{"repeat": "xx", "times": 1 << 26}]), "send_parts = "),
    (bad_input("a", "b", in_sync=0), "in_sync = 0: expected true, false or null"),
    ({"name": "bare", "send": "a"}, "case 1 (bare): expect_doc = None: expected a text"),
]


@pytest.mark.parametrize(("wrong", "line"), WRONG_ENTRIES, ids=[line for _, line in WRONG_ENTRIES])
def test_a_wrong_entry_is_named(tmp_path: Path, wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(CorpusError) as refused:
        read_corpus([write_corpus(tmp_path, wrong)])
    assert line in str(refused.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"{", "expected a JSON document"),
        (b"[" * 100_000, "expected a JSON document"),
        (b"\xff\xfe", "expected a JSON document"),
        (b"[]", 'expected an object with the key "conversations" or "cases"'),
        (b'{"conversations": {}}', "conversations = {}: expected a list"),
        (b'{"conversations": [1]}', "conversation 1 = 1: expected an object"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"odd\.json") as refused:
        read_corpus([path])
    assert line in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="a file of conversations or inputs that can be read"):
        read_corpus([tmp_path / "none.json"])


def test_two_entries_may_not_have_one_name(tmp_path: Path) -> None:
    first = write_corpus(tmp_path, conversation(step("a")), name="one.json")
    second = write_corpus(tmp_path, bad_input("a", "b", name="talk"), name="two.json")
    assert len(read_corpus([first]).entries) == 1
    with pytest.raises(CorpusError, match="name = 'talk': expected a name that no other entry has"):
        read_corpus([first, second])


def test_only_what_is_asked_for() -> None:
    corpus = installed_corpus()
    assert [each.name for each in corpus.only(["quit", "put_drain"]).entries] == ["put_drain", "quit"]
    with pytest.raises(CorpusError, match="near it: drain_others, drain_put"):
        corpus.only(["drain"])


def test_the_installed_files_say_the_same_by_path() -> None:
    folder = Path(__file__).parent.parent / "models" / "data" / "conformance"
    names = [folder / name for name in ("transcripts.json", "bad_inputs.json", "more.json")]
    assert read_corpus(names) == installed_corpus()
    assert json.loads(names[0].read_bytes())["meta"]["fresh_server_per_conversation"] is True
