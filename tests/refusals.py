"""Every way in which every operation can be refused: a good call, and the changes that spoil it, by category.

All arguments go by keyword, so that two faults can be put into one call to try their precedence.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from models.calls import Call
from models.spec_world import Refused
from tests.driver import Driver

CLOCK = 10
PRECEDENCE = ["time-backwards", "bad-value", "empty-client", "missing", "wrong-state", "unauthorized"]
"""SPEC section 1, after `stopped`, which is no property of a call."""

HELD, READY, DELAYED, BURIED = 1, 2, 3, 4
"""The jobs of the world in which the calls are tried; `a` holds `HELD`."""

Fault = dict[str, Any]
Faults = dict[str, list[Fault]]


def build(d: Driver) -> None:
    """The world: jobs in all states; `b` waits, `c` is owed an answer, `w` watches one tube; the clock is 10."""
    d.at(CLOCK)
    assert d.hold("a", "t") == HELD
    assert (d.put("t"), d.put("t", delay=99)) == (READY, DELAYED)
    assert d.hold("a", "t") == BURIED
    d.call("bury", CLOCK, BURIED, "a", priority=0)
    assert d.ask("c", "o") == "queued"
    assert d.ask("b", "q") == "queued"
    d.put("o")
    assert d.ask("d", "r", until=CLOCK) == "timeout"  # serves c, whose answer is now owed
    d.call("watch_tube", "w", "only")


def each(name: str, values: list[Any]) -> list[Fault]:
    """One fault a value."""
    return [{name: value} for value in values]


NOW = each("now", ["10", True, 10.0])
REQUIRED_NOW = [*NOW, {"now": None}]
EARLY = each("now", [CLOCK - 1, -1])
JOB = each("job_id", ["1", True, 1.0, None])
CLIENT = each("client_id", [None, 5, b"a"])
EMPTY = each("client_id", [""])
TUBE = each("tube", ["", "-t", "a b", "t" * 201, "é", "t\n", "t,u", "٣", b"t", 5, None])
UINT32 = [-1, 2**32, 1.0, True, "1", None]
MISSING = each("job_id", [99, 0, -1])
OWNERS: Faults = {
    "time-backwards": EARLY,
    "empty-client": EMPTY,
    "missing": MISSING,
    "wrong-state": each("job_id", [READY, DELAYED, BURIED]),
    "unauthorized": each("client_id", ["b", "stranger"]),
}


def tubes_look(command: str, *, now: list[Fault] = NOW) -> tuple[Fault, Faults, str]:
    """A look at a tube."""
    good = {"now": CLOCK, "tube": "t"}
    return good, {"time-backwards": EARLY, "bad-value": [*now, *TUBE], "missing": each("tube", ["nowhere"])}, command


def reference(command: str) -> tuple[Fault, Faults, str]:
    """A client's reference to a tube."""
    good = {"now": CLOCK, "client_id": "a", "tube": "t"}
    return good, {"time-backwards": EARLY, "bad-value": [*NOW, *TUBE, *CLIENT], "empty-client": EMPTY}, command


def owners(
    command: str, *, now: list[Fault] = REQUIRED_NOW, numbers: tuple[str, ...] = ()
) -> tuple[Fault, Faults, str]:
    """An owner's call on a reserved job."""
    good: Fault = {"now": CLOCK, "job_id": HELD, "client_id": "a", **dict.fromkeys(numbers, 0)}
    bad = [*now, *JOB, *CLIENT, *(fault for number in numbers for fault in each(number, UINT32))]
    return good, {**OWNERS, "bad-value": bad}, command


TABLE: dict[str, tuple[Fault, Faults, str]] = {
    "put": (
        {"now": CLOCK, "priority": 0, "delay_seconds": 0, "ttr_seconds": 1, "body": b"", "tube": "t"},
        {
            "time-backwards": EARLY,
            "bad-value": [
                *REQUIRED_NOW,
                *TUBE,
                *(fault for name in ("priority", "delay_seconds", "ttr_seconds") for fault in each(name, UINT32)),
                *each("body", ["text", None, 5, [1]]),
            ],
        },
        "put",
    ),
    "delete": (
        owners("delete", now=NOW)[0],
        {name: faults for name, faults in owners("delete", now=NOW)[1].items() if name != "wrong-state"},
        "delete",
    ),
    "release": owners("release", now=NOW),
    "release_with": owners("release", numbers=("priority", "delay_seconds")),
    "touch": owners("touch"),
    "bury": owners("bury", numbers=("priority",)),
    "kick": (
        {"now": CLOCK, "job_id": BURIED},
        {
            "time-backwards": EARLY,
            "bad-value": [*NOW, *JOB],
            "missing": MISSING,
            "wrong-state": each("job_id", [HELD, READY]),
        },
        "",
    ),
    "kick_n": (
        {"now": CLOCK, "tube": "t", "n": 1},
        {"time-backwards": EARLY, "bad-value": [*NOW, *TUBE, *each("n", [-1, 1.0, True, None, "1"])]},
        "kick",
    ),
    "peek_ready_job": tubes_look("peek-ready"),
    "peek_delayed_job": tubes_look("peek-delayed"),
    "peek_buried_job": tubes_look("peek-buried"),
    "get_stats_tube_as_yaml": tubes_look("stats-tube", now=REQUIRED_NOW),
    "pause_tube": (
        {"now": CLOCK, "tube": "t", "seconds": 1},
        {
            "time-backwards": EARLY,
            "bad-value": [*REQUIRED_NOW, *TUBE, *each("seconds", UINT32)],
            "missing": each("tube", ["nowhere"]),
        },
        "pause-tube",
    ),
    "get_job": (
        {"now": CLOCK, "job_id": HELD},
        {"time-backwards": EARLY, "bad-value": [*NOW, *JOB], "missing": MISSING},
        "peek",
    ),
    "get_stats_job_as_yaml": (
        {"now": CLOCK, "job_id": HELD},
        {"time-backwards": EARLY, "bad-value": [*REQUIRED_NOW, *JOB], "missing": MISSING},
        "stats-job",
    ),
    "get_stats_as_yaml": ({"now": CLOCK}, {"time-backwards": EARLY, "bad-value": [*REQUIRED_NOW]}, "stats"),
    "append_reservation": (
        {"now": CLOCK, "client_id": "e", "request_id": "r", "tubes": ["t"], "deadline_at": CLOCK},
        {
            "time-backwards": [{"now": CLOCK - 1}],
            "bad-value": [
                *REQUIRED_NOW,
                *CLIENT,
                *each("request_id", [5, None]),
                *each("tubes", [[], (), "t", b"t", ["-"], [""], [5], ["t", "a b"], [None], None, 5, [["t"]]]),
                *each("deadline_at", [CLOCK - 1, -1, "10", 10.0, True]),
            ],
            "empty-client": EMPTY,
            "wrong-state": each("client_id", ["b", "c"]),
        },
        "reserve-with-timeout",
    ),
    "reserve_job": (
        {"now": CLOCK, "job_id": READY, "client_id": "e", "request_id": "r"},
        {
            "time-backwards": EARLY,
            "bad-value": [*REQUIRED_NOW, *JOB, *CLIENT, *each("request_id", [5, None])],
            "empty-client": EMPTY,
            "missing": [*MISSING, {"job_id": HELD}],
        },
        "",
    ),
    "cancel_reservation": (
        {"now": CLOCK, "client_id": "b"},
        {
            "time-backwards": EARLY,
            "bad-value": [*NOW, *CLIENT],
            "empty-client": EMPTY,
            "wrong-state": each("client_id", ["c"]),
        },
        "",
    ),
    "tick": ({"now": CLOCK}, {"time-backwards": EARLY, "bad-value": [*REQUIRED_NOW]}, ""),
    "use_tube": reference("use"),
    "watch_tube": reference("watch"),
    "ignore_tube": reference("ignore"),
    "close_client": (
        {"now": CLOCK, "client_id": "a"},
        {"time-backwards": EARLY, "bad-value": [*NOW, *CLIENT], "empty-client": EMPTY},
        "",
    ),
    "check_client_state": (
        {"now": CLOCK, "client_ids": ["a"]},
        {
            "time-backwards": EARLY,
            "bad-value": [*NOW, *each("client_ids", [[5], ["a", None]])],
            "empty-client": each("client_ids", [[""], ["a", ""]]),
        },
        "",
    ),
    "get_tubes": ({"now": CLOCK}, {"time-backwards": EARLY, "bad-value": NOW}, ""),
    "count_command": ({"name": "list-tubes"}, {"bad-value": each("name", ["nonsense", "", 5, None])}, "list-tubes"),
}
"""operation → a good call, its faults by category, and the `cmd-*` counter that it moves ("": none)."""


class Spoilt(NamedTuple):
    """A call that must be refused."""

    call: Call
    category: str
    command: str

    def __str__(self) -> str:
        return f"{self.category}: {self.call}"


def good_calls() -> Iterator[Spoilt]:
    """Each operation once, as it is not refused."""
    for op, (good, _, command) in TABLE.items():
        yield Spoilt(Call(op, (), good), "", command)


def single_faults(op: str) -> Iterator[Spoilt]:
    """The operation with one fault, for each fault."""
    good, faults, command = TABLE[op]
    for category, changes in faults.items():
        for change in changes:
            yield Spoilt(Call(op, (), good | change), category, command)


def double_faults(op: str) -> Iterator[Spoilt]:
    """The operation with two faults of different categories: the earlier one in the order of precedence is raised."""
    good, faults, command = TABLE[op]
    for place, first in enumerate(PRECEDENCE):
        for second in PRECEDENCE[place + 1 :]:
            for change in faults.get(first, []):
                for other in faults.get(second, []):
                    if change.keys().isdisjoint(other):
                        yield Spoilt(Call(op, (), good | change | other), first, command)


def check(spoilt: Spoilt, do: Callable[[Call], Any]) -> None:
    """Make the call; raises `AssertionError` unless it is refused in the category that the table says."""
    refused = "not refused"
    try:
        do(spoilt.call)
    except Refused as refusal:
        refused = refusal.category
    assert refused == spoilt.category, spoilt
