"""The players of live servers, against Debian's beanstalkd: started for each conversation, or running already."""

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from models.conformance import Judgement, Verdict, installed_corpus, installed_deviations, judge_entry
from models.conformance_corpus import Entry
from models.conformance_player import CannotPlay, PlayerError
from models.conformance_running import running, shift_ids, unshift
from models.conformance_sockets import Address, ManualClock, SocketPlayer, playing
from models.conformance_spawn import check_command, spawned
from tests.servers import debians_beanstalkd

DEBIANS = ("beanstalkd", "-l", "127.0.0.1", "-p", "{port}")
OURS = (
    *(sys.executable, "-m", "jsm", "serve", "-l", "127.0.0.1", "-p", "{port}"),
    *("--clock", "manual", "--clock-port", "{clock_port}"),
)
CORPUS = installed_corpus()
TABLE = installed_deviations()

OLDER = {"num_rwt_neg", "num_rwt_2p31"}
"""Release 1.12 takes any number as a timeout, and waits."""
FAULT = "BUG_ttr_lost_after_deadline_soon"


def judged(name: str, words: tuple[str, ...] = DEBIANS) -> Judgement:
    [entry] = CORPUS.only([name]).entries
    return judge_entry(entry, partial(spawned, words), table=TABLE)


@pytest.mark.beanstalkd
@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("put_split_body", Verdict.OK),
        ("put_drain", Verdict.OK),
        ("reserved_close_to_waiter", Verdict.OK),
        ("halfclose_waiting", Verdict.OK),
        ("waiting_pipelined_commands_wait", Verdict.OK),
        ("put_expected_crlf_burns_id", Verdict.OK),
        ("rwt_deadline_before_timeout", Verdict.OK),
        ("big_65536", Verdict.OK),
        ("big_z10", Verdict.OK),
        ("half_partial_put", Verdict.OK),
        ("pipe_200", Verdict.OK),
        ("quit", Verdict.OK),
        ("ready_reserve", Verdict.DECLARED),  # names without quotes
        ("num_kick_neg", Verdict.RECORDED),
        ("state_statsjob_incomplete_put", Verdict.RECORDED),
    ],
)
def test_what_debians_beanstalkd_answers(name: str, verdict: Verdict) -> None:
    assert shutil.which("beanstalkd")
    judgement = judged(name)
    assert judgement.verdict is verdict, judgement


@pytest.mark.slow
@pytest.mark.beanstalkd
@pytest.mark.parametrize("entry", CORPUS.entries, ids=lambda entry: str(entry.name))
def test_debians_beanstalkd_differs_where_its_release_does(entry: Entry) -> None:
    judgement = judged(entry.name)
    differs = entry.name in OLDER or entry.name == FAULT
    assert (judgement.verdict is Verdict.DIFFERS) is differs, judgement


@pytest.mark.parametrize(
    "name",
    ["put_drain", "ttr_nudged_to_waiter", "BUG_ttr_lost_after_deadline_soon", "big_z10", "half_reserve_pipelined"],
)
def test_our_server_answers_as_recorded(name: str) -> None:
    judgement = judged(name, OURS)
    assert judgement.verdict is Verdict.OK, judgement


@pytest.mark.slow
@pytest.mark.parametrize("entry", CORPUS.entries, ids=lambda entry: str(entry.name))
def test_our_server_answers_everything_as_recorded_or_declared(entry: Entry) -> None:
    judgement = judged(entry.name, OURS)
    declared = entry.name in TABLE.conversations or entry.name in TABLE.inputs
    assert judgement.verdict is (Verdict.DECLARED if declared else Verdict.OK), judgement


@pytest.fixture
def debians() -> Iterator[Address]:
    """A beanstalkd that runs."""
    with debians_beanstalkd() as server:
        yield Address(*server.address)


@pytest.mark.beanstalkd
def test_a_server_that_runs_is_played_with_again_and_again(debians: Address) -> None:
    names = ["put_pri_max", "reserved_delete", "buried_kick", "put_drain", "big_z10", "put_pri_max"]
    found = []
    for name in names:
        [entry] = CORPUS.only([name]).entries
        found.append(judge_entry(entry, partial(running, debians), table=TABLE))
    left_out = [Verdict.LEFT_OUT, Verdict.LEFT_OUT]
    assert [each.verdict for each in found[3:5]] == left_out
    assert {each.verdict for each in [*found[:3], found[5]]} <= {Verdict.OK, Verdict.DECLARED}, found
    with playing(SocketPlayer(debians)) as player:
        player.send(1, b"put 0 0 1 1\r\na\r\n")
        assert player.read(1, 1).startswith(b"INSERTED ")
    with pytest.raises(PlayerError, match="it holds 1 jobs, which would be lost"), running(debians):
        pass


@pytest.mark.beanstalkd
def test_a_server_that_others_use_is_left_alone(debians: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.conformance_running._SETTLE_SECONDS", 0.1)
    with playing(SocketPlayer(debians)) as other:
        other.send(1, b"use x\r\n")
        other.read(1, 1)
        with pytest.raises(PlayerError, match="1 other connections use it"), running(debians):
            pass


def test_ids_are_shifted_in_commands_and_not_in_bodies() -> None:
    sent = b"put 0 0 1 8\r\ndelete 1\r\ndelete 1\r\npeek 0\r\nrelease 2 1 1\r\ndelete -1\r\nkick 3\r\nbury 3 9\r\n"
    assert shift_ids(sent, 10) == (
        b"put 0 0 1 8\r\ndelete 1\r\ndelete 11\r\npeek 0\r\nrelease 12 1 1\r\ndelete -1\r\nkick 3\r\nbury 13 9\r\n"
    )
    assert shift_ids(b"put 0 0 1 99\r\ndelete 1\r\n", 10) == b"put 0 0 1 99\r\ndelete 1\r\n"
    assert shift_ids(b"delete 1", 10) == b"delete 1"


def test_replies_are_shifted_back() -> None:
    came = b"INSERTED 11\r\nRESERVED 11 2\r\n12\r\nUSING 11\r\nKICKED 11\r\n"
    assert unshift(came, 10, {}) == b"INSERTED 1\r\nRESERVED 1 2\r\n12\r\nUSING 11\r\nKICKED 11\r\n"
    job = b"OK 14\r\n---\nid: 11\na: 1\r\n"
    assert unshift(job, 10, {}) == b"OK 13\r\n---\nid: 1\na: 1\r\n"
    tube = b'OK 35\r\n---\nname: "default"\ntotal-jobs: 11\n\r\n<EOF>'
    assert unshift(tube, 10, {"total-jobs": 4}) == b'OK 34\r\n---\nname: "default"\ntotal-jobs: 7\n\r\n<EOF>'
    assert unshift(tube.replace(b"default", b"defaulu"), 10, {"total-jobs": 4}).endswith(b"total-jobs: 11\n\r\n<EOF>")


# ---------------------------------------------------------------------- servers that misbehave

SILENT = "import socket,time; s=socket.create_server(('127.0.0.1', {port})); c=s.accept(); time.sleep(60)"
CLOSING = "import socket,time; s=socket.create_server(('127.0.0.1', {port}))\nwhile True: s.accept()[0].close()"
FLOOD = (
    "import socket\ns=socket.create_server(('127.0.0.1', {port}))\n"
    "while True:\n c=s.accept()[0]\n try:\n  while True: c.sendall(b'x\\r\\n')\n except OSError: pass"
)


@pytest.mark.parametrize("program", [SILENT, CLOSING, FLOOD], ids=["silent", "closing", "flood"])
def test_a_server_that_answers_nonsense_differs(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr("models.conformance_sockets.PATIENCE_SECONDS", 0.2)
    words = (sys.executable, "-c", program)
    [entry] = CORPUS.only(["put_ttr0_becomes_1"]).entries
    judgement = judge_entry(entry, partial(spawned, words), table=TABLE)
    assert judgement.verdict is Verdict.DIFFERS


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("no-such-program", "{port}"), "no-such-program: No such file or directory"),
        ((sys.executable, "-c", "print('{port} is mine'); raise SystemExit(3)"), "exit code 3 before it listened: "),
    ],
)
def test_a_server_that_does_not_start_is_named(words: tuple[str, ...], line: str) -> None:
    with pytest.raises(PlayerError) as refused, spawned(words):
        pass
    assert line in str(refused.value)


def test_a_server_that_never_listens_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("models.conformance_spawn.START_SECONDS", 0.2)
    words = (sys.executable, "-c", "import time; time.sleep(60) # {port}")
    with pytest.raises(PlayerError, match="does not listen on"), spawned(words):
        pass


def test_a_clock_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.conformance_sockets.PATIENCE_SECONDS", 0.1)
    with pytest.raises(PlayerError, match="no manual clock is there"):
        ManualClock("127.0.0.1", 1)


def test_a_command_needs_a_place_for_the_port() -> None:
    assert check_command("a 'b c' {port}") == ("a", "b c", "{port}")
    for wrong in ("beanstalkd", "beanstalkd '{port}", ""):
        with pytest.raises(ValueError, match="--spawn"):
            check_command(wrong)


def test_nobody_drains_a_server_that_is_not_ours() -> None:
    with pytest.raises(CannotPlay, match="--spawn starts"):
        SocketPlayer(Address("127.0.0.1", 1)).drain()
    with pytest.raises(PlayerError, match="takes no connection"):
        SocketPlayer(Address("127.0.0.1", 1)).send(1, b"x")
    assert [str(Address("::1", 5)), str(Address("h", 5)), str(Address("", 0, "/s"))] == ["[::1]:5", "h:5", "unix:/s"]
