"""Any bytes in pieces of any size, to a broker whose clients read as they like."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jsm.machine import Machine
from jsm.wire import Broker
from models.checked import CheckedMachine
from tests.wire_by_hand import SECOND

WORDS = st.sampled_from(
    [
        b"reserve-with-timeout 0",
        b"reserve-with-timeout 1",
        b"reserve",
        *(
            b"%b %d" % (word, job)
            for word in (b"delete", b"touch", b"peek", b"kick-job", b"reserve-job")
            for job in (1, 2)
        ),
        *(b"release %d 5 %d" % (job, delay) for job in (1, 2) for delay in (0, 1)),
        b"bury 1 3",
        b"kick 2",
        b"use t",
        b"use default",
        b"watch t",
        b"ignore t",
        b"ignore default",
        b"peek-ready",
        b"peek-buried",
        b"peek-delayed",
        b"pause-tube t 1",
        b"pause-tube default 0",
        b"stats-job 1",
        b"stats-tube t",
        b"stats",
        b"list-tubes",
        b"list-tubes-watched",
        b"delete 1 ",
        b"x" * 250,
        b"put 0 0 1 1",
        b"put 0 0 1 5000\r\n" + b"y" * 5000,
        *(b"put %d %d 2 2\r\nab" % (priority, delay) for priority in (0, 1) for delay in (0, 1)),
        *(b"put 0 0 2 2\r\nab",) * 3,
    ]
)
TALK = st.lists(WORDS, max_size=12).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


def outcome(talks: list[bytes], cuts: list[int], *, checked: bool = False, **limits: Any) -> list[bytes]:
    """What two clients get that say this in turn; each talk in pieces, without time between them."""
    machine: Any = (
        CheckedMachine(units_per_second=SECOND, max_job_size=1000)
        if checked
        else Machine(units_per_second=SECOND, max_job_size=1000)
    )
    broker = Broker(machine, **limits)
    sessions = [broker.connect(0), broker.connect(0)]
    found = [b"", b""]
    now = 0

    def take() -> None:
        while True:
            for session in broker.take_changed():
                found[sessions.index(session)] += session.take_output()
            if broker.next_tick_at() != now:
                return
            broker.tick(now)

    for turn, talk in enumerate(talks):
        session = sessions[turn % 2]
        for start, end in pairwise(sorted({0, len(talk), *(cut for cut in cuts if cut < len(talk))})):
            broker.receive(now, session, talk[start:end])
            take()
        assert session.reader.size == 0 or session.is_waiting or talk
        now += 300
        while (due := broker.next_tick_at()) is not None and due <= now:
            broker.tick(due)
            take()
    for session in sessions:
        broker.receive_eof(now, session)
        take()
    for session in sessions:
        broker.disconnect(now, session)
    assert machine.count_jobs()["reserved"] == 0
    return found


@given(st.lists(TALK, max_size=8), st.lists(st.integers(0, 300), max_size=20))
def test_pieces_of_any_size_give_the_same_replies(talks: list[bytes], cuts: list[int]) -> None:
    whole = outcome(talks, [])
    assert outcome(talks, cuts) == whole
    assert outcome(talks, list(range(300))) == whole


@given(st.lists(TALK, max_size=4))
def test_readers_of_any_slowness_get_the_same_replies(talks: list[bytes]) -> None:
    alone = [part for talk in talks for part in (talk, b"")]  # how two mix depends on how they read
    assert outcome(alone, [], output_limit=1, input_limit=1) == outcome(alone, [])


@given(st.lists(TALK, max_size=6))
def test_the_machine_stays_right_whatever_is_said(talks: list[bytes]) -> None:
    outcome(talks, [], checked=True)


@given(st.lists(st.one_of(st.binary(max_size=400), TALK), max_size=12))
def test_any_bytes_are_answered_and_nothing_grows(pieces: list[bytes]) -> None:
    broker = Broker(Machine(max_job_size=100), input_limit=500, output_limit=500)
    session = broker.connect(0)
    for piece in pieces:
        if not session.is_reading:
            break
        broker.receive(0, session, piece)
        assert session.reader.size <= 500 + len(piece)
        assert len(session.reader._body) <= 102
        assert session.output_size < 500 + 1500  # a reply more: `stats`
        session.take_output()
        broker.tick(0)
    broker.receive_eof(0, session)
