"""The machine and its sessions: bytes in, bytes out, at instants that the test chooses."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jsm.errors import BadValueError, TimeBackwardsError
from jsm.machine import Machine
from jsm.observed import OPERATIONS
from jsm.states import JobState
from jsm.wire import Broker
from tests.wire_by_hand import PUT, SECOND, Refusing, Wire

# ---------------------------------------------------------------------- commands


def test_every_command_has_its_replies() -> None:
    wire = Wire()
    assert wire(1, "put 1 0 60 3", "abc") == "INSERTED 1|"
    assert wire(1, "use t", "list-tube-used") == "USING t|USING t|"
    assert wire(1, "put 0 9 60 0", "") == "INSERTED 2|"
    assert wire(1, "peek 1", "peek-ready", "peek-delayed", "peek-buried") == (
        "FOUND 1 3|abc|NOT_FOUND|FOUND 2 0||NOT_FOUND|"
    )
    assert wire(2, "reserve", "touch 1", "touch 2", "bury 1 7", "bury 1 7") == (
        "RESERVED 1 3|abc|TOUCHED|NOT_FOUND|BURIED|NOT_FOUND|"
    )
    assert wire(2, "kick-job 1", "kick-job 1", "kick 5") == "KICKED|NOT_FOUND|KICKED 0|"
    assert wire(2, "use t", "kick 5", "kick 5") == "USING t|KICKED 1|KICKED 0|"
    assert wire(2, "watch t", "watch t", "ignore t", "ignore t", "ignore default") == (
        "WATCHING 2|WATCHING 2|WATCHING 1|WATCHING 1|NOT_IGNORED|"
    )
    assert wire(2, "reserve-job 2", "reserve-job 2", "reserve-job 9") == "RESERVED 2 0||NOT_FOUND|NOT_FOUND|"
    assert wire(1, "delete 2", "release 2 0 0") == "NOT_FOUND|NOT_FOUND|"
    assert wire(2, "release 2 5 1", "delete 2", "delete 2") == "RELEASED|DELETED|NOT_FOUND|"
    assert wire(1, "list-tubes", "list-tubes-watched") == ("OK 18|---\n- default\n- t\n|OK 14|---\n- default\n|")
    assert wire(1, "pause-tube default 5", "pause-tube none 5") == "PAUSED|NOT_FOUND|"
    assert wire(2, "reserve-with-timeout 0") == "TIMED_OUT|"
    assert wire(1, "stats-job 1").startswith('OK 146|---\nid: 1\ntube: "default"\nstate: ready\npri: 7\n')
    assert wire(1, "stats-tube t").startswith('OK 261|---\nname: "t"\n')
    assert wire(1, "stats-job 2", "stats-tube none") == "NOT_FOUND|NOT_FOUND|"
    assert wire(1, "stats").startswith("OK ")
    assert wire(1, "nothing", "delete x") == "UNKNOWN_COMMAND|BAD_FORMAT|"


def test_stats_counts_commands_and_connections() -> None:
    wire = Wire(process=lambda: {"pid": 7, "version": "1", "current-connections": 55})
    counts = ("cmd-use", "cmd-watch", "cmd-ignore", "cmd-put", "cmd-list-tubes", "cmd-stats")
    assert wire.stats(*counts) == ["0", "0", "0", "0", "0", "1"]
    wire(1, "use default", "use a", "watch default", "watch a", "ignore none", "list-tubes")
    wire(1, "use -", "watch -", "ignore -", "list-tubes x")  # not understood
    assert wire.stats(*counts) == ["2", "2", "1", "0", "1", "2"]
    wire(1, *PUT, "put 0 0 60 1", "abc", "put 0 0 60 99999", "x" * 99999)
    assert wire.stats("cmd-put", "total-jobs", "pid") == ["3", "1", "7"]
    wire(2, "reserve-with-timeout 0", "reserve-job 1")
    keys = ("current-connections", "current-producers", "current-workers", "total-connections", "draining")
    assert wire.stats(*keys) == ["3", "1", "1", "3", "false"]
    wire.broker.drain()
    wire.leave(1)
    wire(2, *PUT)
    assert wire.stats(*keys, "cmd-put") == ["2", "1", "1", "3", "true", "4"]
    wire(2, "quit")
    assert wire.stats(*keys) == ["1", "0", "0", "3", "true"]


def test_a_process_that_gives_nonsense_is_no_fault_of_the_client() -> None:
    assert Wire(process=lambda: {"pid": -1})(1, "stats", "list-tube-used") == "INTERNAL_ERROR|USING default|"


def test_while_draining_puts_alone_are_refused_after_their_body() -> None:
    wire = Wire()
    wire(1, *PUT)
    wire.broker.drain()
    assert wire.broker.draining
    assert wire(1, *PUT) == "DRAINING|"
    assert wire(1, "put 0 0 60 1", "abc", "put 0 0 60 70000", "x" * 70000) == (
        "EXPECTED_CRLF|UNKNOWN_COMMAND|JOB_TOO_BIG|"
    )
    assert wire(1, "reserve", "release 1 0 0", "delete 1") == "RESERVED 1 1|a|RELEASED|DELETED|"


def test_a_put_that_fails_takes_no_id() -> None:
    wire = Wire(Machine(max_job_size=2))
    assert wire(1, "put 0 0 1 1", "abc", "put 0 0 1 3", "abc", *PUT) == (
        "EXPECTED_CRLF|UNKNOWN_COMMAND|JOB_TOO_BIG|INSERTED 1|"
    )


# ---------------------------------------------------------------------- waiting, and what is due


def test_a_put_answers_who_waits_before_the_next_command() -> None:
    wire = Wire()
    assert wire(1, "reserve") == ""
    assert wire(2, *PUT, "peek-ready") == "INSERTED 1|NOT_FOUND|"
    assert wire(1) == "RESERVED 1 1|a|"


@pytest.mark.parametrize(
    ("before", "command"),
    [
        (["reserve-job 1"], "release 1 0 0"),
        (["reserve-job 1", "bury 1 0"], "kick 1"),
        (["reserve-job 1", "bury 1 0"], "kick-job 1"),
        (["pause-tube default 9"], "pause-tube default 0"),
        (["reserve-job 1"], "quit"),
    ],
)
def test_what_makes_a_job_ready_answers_who_waits(before: list[str], command: str) -> None:
    wire = Wire()
    wire(1, *PUT, *before)
    assert wire(2, "reserve") == ""
    wire(1, command)
    assert wire(2) == "RESERVED 1 1|a|"
    assert wire.broker.next_tick_at() is not None


@pytest.mark.parametrize("end", [Wire.eof, Wire.leave])
def test_the_end_of_a_client_answers_who_waits(end: Callable[[Wire, int], None]) -> None:
    wire = Wire()
    wire(1, *PUT, "reserve")
    assert wire(2, "reserve") == ""
    end(wire, 1)
    assert wire(2) == "RESERVED 1 1|a|"


def test_a_pause_of_no_time_ends_though_nobody_waits() -> None:
    wire = Wire()
    wire(1, "pause-tube default 5", "pause-tube default 0")
    assert "pause: 0\n" in wire(1, "stats-tube default")


def test_what_is_due_happens_before_the_commands_of_its_instant() -> None:
    wire = Wire()
    wire(1, "put 0 1 60 1", "a")
    wire.now = SECOND - 1
    assert wire(1, "peek-ready") == "NOT_FOUND|"
    wire.now = SECOND
    assert wire(1, "peek-ready") == "FOUND 1 1|a|"


def test_waits_end_in_time() -> None:
    wire = Wire()
    wire(1, "put 0 0 4 1", "a", "reserve")
    assert wire(1, "reserve-with-timeout 2") == ""
    wire.at(1.9)
    assert wire(1) == ""
    wire.at(2)
    assert wire(1) == "TIMED_OUT|"
    assert wire(1, "reserve") == ""
    wire.at(3)
    assert wire(1) == "DEADLINE_SOON|"
    wire.at(4)
    assert wire(2, "reserve") == "RESERVED 1 1|a|"


def test_commands_behind_a_wait_wait_too() -> None:
    wire = Wire()
    assert wire(1, "reserve", "delete 1", "reserve-with-timeout 1", "list-tube-used") == ""
    assert wire(1, "use t") == ""
    wire(2, *PUT)
    assert wire(1) == "RESERVED 1 1|a|DELETED|"
    wire.at(1)
    assert wire(1) == "TIMED_OUT|USING default|USING t|"


@pytest.mark.parametrize("together", [True, False])
def test_who_is_answered_goes_on_before_who_answered_it(together: bool) -> None:
    wire = Wire()
    wire(1, "reserve", *PUT)
    wire(2, "reserve", "put 0 0 60 1", "b")
    lines = ["put 0 0 60 1", "c", "reserve", "reserve-with-timeout 0"]
    found = wire(3, *lines) if together else wire(3, *lines[:2]) + wire(3, lines[2]) + wire(3, lines[3])
    assert found == "INSERTED 1|RESERVED 3 1|b|TIMED_OUT|"
    assert (wire(1), wire(2)) == ("RESERVED 1 1|c|INSERTED 2|", "RESERVED 2 1|a|INSERTED 3|")


def test_a_long_chain_of_answers_ends() -> None:
    wire = Wire()
    for number in range(1, 5001):
        wire(number, "reserve", *PUT)
    assert wire(9999, *PUT) == "INSERTED 1|"
    assert wire(5000) == "RESERVED 5000 1|a|INSERTED 5001|"


# ---------------------------------------------------------------------- beginnings and ends


def test_clients_are_numbered_as_they_connect() -> None:
    wire = Wire()
    wire.connect(1, 2)
    wire.leave(1)
    wire.connect(3)
    assert [session.client_id for session in wire.sessions.values()] == ["c1", "c2", "c3"]
    assert list(wire.broker.sessions.values()) == [wire.sessions[2], wire.sessions[3]]


def test_quit_ends_the_session_and_drops_what_follows() -> None:
    wire = Wire()
    assert wire(1, *PUT, "reserve", "quit", "list-tube-used") == "INSERTED 1|RESERVED 1 1|a|"
    session = wire.sessions[1]
    assert session.is_closing
    assert not session.is_reading
    assert wire.broker.take_changed() == [session]
    assert wire(1, "list-tube-used") == ""
    wire.eof(1)
    wire.leave(1)
    wire.leave(1)
    assert wire.broker.take_changed() == []
    assert wire(2, "peek-ready") == "FOUND 1 1|a|"
    assert wire.stats("current-connections") == ["2"]


def test_after_the_last_byte_everything_is_answered_and_nobody_waits() -> None:
    wire = Wire()
    assert wire(1, "reserve", "list-tube-used", "reserve-with-timeout 9", *PUT, "reserve", "put 0 0 1 5", "a") == ""
    wire.eof(1)
    assert wire(1) == "TIMED_OUT|USING default|TIMED_OUT|INSERTED 1|RESERVED 1 1|a|"
    assert wire.sessions[1].is_closing
    assert wire(2, "stats-job 1").startswith("OK")
    assert wire.machine.count_jobs()[JobState.RESERVED] == 0
    assert wire.stats("current-waiting", "cmd-reserve", "cmd-reserve-with-timeout") == ["0", "2", "1"]


def test_a_client_that_is_gone_is_sent_nothing_and_holds_nothing() -> None:
    wire = Wire()
    wire(1, *PUT, "reserve", "watch t", "use u")
    wire(1, "reserve")
    wire.leave(1)
    assert wire.sessions[1].is_closing
    assert wire.broker.take_changed() == []
    assert wire(2, "list-tubes", "peek-ready", "stats-tube default").startswith(
        "OK 14|---\n- default\n|FOUND 1 1|a|OK 267|"
    )
    assert wire.stats("current-waiting") == ["0"]


def test_the_time_does_not_go_back() -> None:
    wire = Wire()
    wire.at(2)
    wire.connect(1)
    wire.now -= 1
    calls: list[Callable[[], object]] = [
        lambda: wire.connect(2),
        lambda: wire(1, "stats"),
        lambda: wire.eof(1),
        lambda: wire.leave(1),
        lambda: wire.broker.tick(wire.now),
    ]
    for call in calls:
        with pytest.raises(TimeBackwardsError):
            call()


def test_limits_have_their_bounds() -> None:
    options: dict[str, Any]
    for options in ({"input_limit": 0}, {"output_limit": True}, {"output_limit": 1.5}):
        with pytest.raises(BadValueError, match="a number of bytes of at least 1"):
            Broker(Machine(), **options)


# ---------------------------------------------------------------------- what the driver sees


def test_only_sessions_with_news_are_told() -> None:
    wire = Wire()
    wire.connect(*range(1, 100))
    wire.broker.take_changed()
    wire.broker.receive(0, wire.sessions[5], b"reserve\r\n")
    wire.broker.receive(0, wire.sessions[6], b"put 0 0 ")
    assert wire.broker.take_changed() == []
    wire.broker.receive(0, wire.sessions[7], b"put 0 0 60 1\r\na\r\n")
    assert wire.broker.take_changed() == [wire.sessions[5], wire.sessions[7]]
    assert wire.broker.take_changed() == []
    wire.eof(8)
    assert wire.broker.take_changed() == [wire.sessions[8]]
    assert wire.broker.next_tick_at() == 60 * SECOND


def test_too_much_output_holds_the_commands_back() -> None:
    whole = Wire()
    wire = Wire(output_limit=100)
    lines = [*PUT, *["peek 1", "list-tube-used"] * 100, "quit"]
    expected = whole(1, *lines)
    wire.connect(1)
    session = wire.sessions[1]
    wire.broker.receive(0, session, "".join(f"{line}\r\n" for line in lines).encode())
    found = b""
    rounds = 0
    while wire.state(1) != "is_closing":
        rounds += 1
        assert wire.broker.take_changed() == [session]
        assert wire.state(1) == "is_held"
        assert 100 <= session.output_size < 116
        assert wire.broker.next_tick_at() is None
        found += session.take_output(40)
        assert wire.broker.next_tick_at() is None
        found += session.take_output()
        assert wire.state(1) == "is_reading"
        assert wire.broker.next_tick_at() == 0
        wire.broker.tick(0)
    assert rounds > 20
    found += session.take_output()
    assert found.decode().replace("\r\n", "|") == expected


def test_a_held_client_that_sends_no_more_is_answered_as_it_reads() -> None:
    wire = Wire(output_limit=10)
    wire.connect(1)
    session = wire.sessions[1]
    wire.broker.receive(0, session, b"list-tube-used\r\n" * 3)
    wire.eof(1)
    found = b""
    for _ in range(3):
        assert wire.state(1) == "is_held has_eof"
        found += session.take_output()
        wire.broker.tick(0)
    assert found == b"USING default\r\n" * 3
    assert wire.state(1) == "is_closing has_eof"
    assert wire.broker.take_changed() == [session]


def test_too_much_input_behind_a_wait_stops_the_reading() -> None:
    wire = Wire(input_limit=100)
    assert wire(1, "reserve", *["list-tube-used"] * 5) == ""
    session = wire.sessions[1]
    assert wire.state(1) == "is_reading is_waiting"
    assert wire.broker.take_changed() == []
    assert wire(1, "list-tube-used", "list-tube-used") == ""
    assert wire.state(1) == "is_waiting"
    assert wire.broker.take_changed() == [session]
    wire(2, *PUT)
    assert session in wire.broker.take_changed()
    assert wire.state(1) == "is_reading"
    assert wire(1) == "RESERVED 1 1|a|" + "USING default|" * 7


def test_the_example_of_the_readme_runs() -> None:
    readme = Path(__file__).parents[1] / "jsm" / "wire" / "README.md"
    [example] = re.findall(r"^```python\n(.*?)^```$", readme.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(example, "README.md", "exec"), {})


def test_the_operations_of_the_wire_are_the_machines() -> None:
    called = Refusing()
    wire = Wire(called)
    test_lines = [*PUT, *PUT, "use t", "watch t", "ignore t", "reserve", "touch 1", "release 1 0 0", "reserve-job 1"]
    wire(1, *test_lines, "bury 1 0", "kick 1", "kick-job 1", "peek 1", "peek-ready", "peek-delayed", "peek-buried")
    wire(1, "delete 1", "pause-tube t 0", "stats", "stats-job 2", "stats-tube t", "list-tubes", "reserve", "reserve")
    wire.eof(1)
    assert sorted(set(OPERATIONS) - set(called.calls)) == ["check_client_state", "release", "stop"]
