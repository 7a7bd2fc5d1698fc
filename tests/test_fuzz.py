"""A share of the fuzz for every run of the tests, a long one for `make test-all`, and faults that it must find."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from jsm.wire.broker import Broker
from jsm.wire.codec import CommandReader
from jsm.wire.session import Session
from tests import fuzz, fuzz_live, fuzz_virtual
from tests.fuzz_bytes import Action, Writer, commands_in

SEEDS_QUICK = range(1, 25)
SEEDS_LONG = range(1000, 2500)
DEBIANS = ("beanstalkd", "-l", "127.0.0.1", "-p", "{port}")


@pytest.mark.parametrize("seed", SEEDS_QUICK)
def test_whatever_is_sent_what_must_hold_holds(seed: int) -> None:
    assert fuzz.virtual_failure(seed) == ""


@pytest.mark.slow
@pytest.mark.parametrize("first", SEEDS_LONG[::100])
def test_whatever_is_sent_for_long(first: int) -> None:
    for seed in range(first, first + 100):
        assert fuzz.virtual_failure(seed) == ""


@pytest.mark.beanstalkd
@pytest.mark.parametrize("seed", range(1, 4))
def test_debians_beanstalkd_answers_the_same(seed: int) -> None:
    assert fuzz.live_failure(seed, DEBIANS) == ""


@pytest.mark.slow
@pytest.mark.beanstalkd
def test_debians_beanstalkd_answers_the_same_for_long() -> None:
    for seed in range(1000, 1200):
        assert fuzz.live_failure(seed, DEBIANS) == ""


# ---------------------------------------------------------------------- the fuzz itself


def test_scripts_follow_from_their_seed() -> None:
    assert Writer(7).script(60) == Writer(7).script(60)
    assert Writer(7).script(60) != Writer(8).script(60)


def test_scripts_do_everything() -> None:
    actions = [action for seed in range(30) for action in Writer(seed).script(60)]
    assert {action.kind for action in actions} == {"send", "wait", "close", "shut", "stall", "resume", "drain"}
    sent = b"".join(action.data for action in actions)
    names = {asked.name for asked in commands_in(sent.replace(b"quit", b"quid"), 500)}
    assert len(names) == 25  # all but quit, and what is no command
    replies = {reply for action in actions for asked in commands_in(action.data, 500) for reply in asked.replies}
    assert {b"JOB_TOO_BIG\r\n", b"EXPECTED_CRLF\r\n", b"BAD_FORMAT\r\n", b"INSERTED "} <= replies


@pytest.mark.parametrize(
    ("stream", "replies"),
    [
        (b"put 0 0 1 2\r\n\r\n\r\nuse x\r\n", [b"INSERTED ", b"USING "]),
        (b"put 0 0 1 2\r\nabc\r\n", [b"EXPECTED_CRLF\r\n"]),
        (b"put 0 0 1 11\r\nabcdefghijkXXkick 1\r\n", [b"JOB_TOO_BIG\r\n", b"KICKED "]),
        (b"put 0 0 1 11 x\r\nabcdefghijkXXkick 1\r\n", [b"JOB_TOO_BIG\r\n", b"KICKED "]),
        (b"put 0 0 1 5\r\nabc", []),
        (b"kick 18446744073709551616\r\nkick 1\r", [b"BAD_FORMAT\r\n"]),
        (b"x" * 222 + b"\r\n" + b"x" * 223 + b"\r\n", [b"BAD_FORMAT\r\n", b"BAD_FORMAT\r\n"]),
        (b"quit\r\nkick 1\r\n", []),
    ],
)
def test_what_a_stream_asks_for(stream: bytes, replies: list[bytes]) -> None:
    asked = commands_in(stream, 10)
    assert [each.replies[0] for each in asked if each.name != "quit"] == replies


def test_the_shortest_script_keeps_what_the_failure_needs() -> None:
    script = [Action("send", 1, b"a\r\nb\r\nc\r\n"), Action("wait", units=1), Action("send", 2, b"d\r\n")]
    assert fuzz_virtual.shortest(script, lambda left: any(b"b" in each.data for each in left)) == [
        Action("send", 1, b"b\r\n")
    ]


def _loses_a_reply(faulty: pytest.MonkeyPatch) -> None:
    faulty.setattr(Session, "take_output", lambda self, limit=None: _cleared(self)[1:])


def _cleared(session: Session) -> bytes:
    data = bytes(session.output)
    session.output.clear()
    return data


def _forgets_a_line_that_ends_in_a_piece(faulty: pytest.MonkeyPatch) -> None:
    feed = CommandReader.feed

    def forgetful(self: CommandReader, data: bytes) -> None:
        feed(self, data.removeprefix(b"\n"))

    faulty.setattr(CommandReader, "feed", forgetful)


def _reads_on(faulty: pytest.MonkeyPatch) -> None:
    faulty.setattr(Session, "is_reading", property(lambda self: True))


def _never_holds(faulty: pytest.MonkeyPatch) -> None:
    run = Broker._run

    def without_limit(self: Broker, session: Session, now: int) -> None:
        limit, session.output_limit = session.output_limit, 1 << 30
        run(self, session, now)
        session.output_limit = limit

    faulty.setattr(Broker, "_run", without_limit)


def _crashes(faulty: pytest.MonkeyPatch) -> None:
    def crash(*args: object) -> None:
        raise ZeroDivisionError

    faulty.setattr(Session, "ignore", crash)


def _ignores_the_end_of_a_waiting_client(faulty: pytest.MonkeyPatch) -> None:
    faulty.setattr(Broker, "receive_eof", lambda *args: None)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (_loses_a_reply, "FuzzError: reply 1 to "),
        (_forgets_a_line_that_ends_in_a_piece, "FuzzError: "),
        (_reads_on, "bytes of input are kept"),
        (_never_holds, "bytes of output are kept"),
        (_crashes, "ZeroDivisionError"),
        (_ignores_the_end_of_a_waiting_client, "is still open after its end"),
    ],
)
def test_planted_faults_are_found(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None], told: str
) -> None:
    monkeypatch.setattr(fuzz_virtual, "shortest", lambda script, fails: script[:0])
    if "kept" in told:  # it takes many scripts, and one way to play them
        monkeypatch.setattr(fuzz_virtual, "check_script", lambda script, seed, machine: fuzz_virtual.run(script))
    fault(monkeypatch)
    failures = (fuzz.virtual_failure(seed) for seed in range(1, 60))
    assert any(told in failure for failure in failures)


def test_a_server_that_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import socket\ns=socket.create_server(('127.0.0.1', {port}))\n"
        "while True:\n c=s.accept()[0]\n while c.recv(9999): c.sendall(b'USING default\\r\\n')"
    )
    monkeypatch.setattr("models.conformance_sockets.PATIENCE_SECONDS", 0.2)
    script = [Action("send", 1, b"use t\r\n")]
    told = fuzz_live.difference(script, (sys.executable, "-c", program))
    assert "expected b'USING t\\r\\n'" in told


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--seconds", "0.2", "--seed", "5"]) == 0
    assert "seeds 5 to " in capsys.readouterr().out

    def wrong(*args: Any, **kwargs: Any) -> None:
        raise fuzz_virtual.FuzzError("wrong")

    monkeypatch.setattr(fuzz_virtual, "check_script", wrong)
    assert fuzz.main(["--seconds", "60", "--seed", "5"]) == 1
    assert capsys.readouterr().err == "seed 5: FuzzError: wrong\n"
