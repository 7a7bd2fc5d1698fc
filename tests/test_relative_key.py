"""Keys of states: the same up to time and names, different for whatever a later call can tell apart."""

from collections.abc import Callable
from typing import Any

import pytest

from jsm.job import ClientID, JobID
from jsm.machine import Machine
from jsm.relative_key import RelativeKeys

WORLD: dict[str, Any] = {
    "tubes": ("default", "t"),
    "clients": ("a", "b", "c"),
    "priorities": (0, 1),
    "delays": (0, 1, 2),
    "ttrs": (1, 2),
    "watch_lists": (("default",), ("t",), ("default", "t")),
}
KEYS = RelativeKeys(**WORLD)

History = Callable[["Words"], object]


class Words:
    """Short words for calls on a machine, whose instants begin at `start`."""

    def __init__(self, start: int = 0, *, gone: int = 0, names: str = "abc") -> None:
        """`gone` jobs come and go before anything else; `names` are those of the clients a, b, c."""
        self.machine: Any = Machine()
        self.machine.tick(start)
        self.start, self.gone = start, gone
        self.names = dict(zip("abc", names, strict=True))
        for _ in range(gone):
            self.machine.delete(self.put(), ClientID("a"))

    def now(self, now: int | None) -> int:
        """An instant of the history, as one of the machine."""
        return self.machine.clock if now is None else self.start + now

    def put(
        self, tube: str = "default", *, now: int | None = None, pri: int = 0, delay: int = 0, ttr: int = 2
    ) -> JobID:
        """A put."""
        numbers = {"priority": pri, "delay_seconds": delay, "ttr_seconds": ttr}
        made: JobID = self.machine.put(self.now(now), **numbers, body=b"", tube=tube)
        return made

    def ask(self, client: str, *tubes: str, until: int | None = None) -> "Words":
        """A reserve that waits."""
        at = None if until is None else self.start + until
        words = {"request_id": "", "tubes": tubes or ("default",), "deadline_at": at}
        self.machine.append_reservation(self.machine.clock, self.names[client], **words)
        return self

    def hold(self, job: int, client: str) -> "Words":
        """A reserve by id; jobs are numbered from 1 in the history."""
        self.machine.reserve_job(self.machine.clock, job + self.gone, self.names[client])
        return self

    def bury(self, job: int, client: str) -> "Words":
        """A burial."""
        self.hold(job, client)
        self.machine.bury(self.machine.clock, job + self.gone, self.names[client], priority=0)
        return self

    def pass_to(self, now: int) -> "Words":
        """Let time pass without a tick."""
        self.machine.get_tubes(now=self.start + now)
        return self


def rich(w: Words) -> None:
    """Jobs in all states, two waits, an owed answer, a pause."""
    for delay in (0, 0, 0, 0, 2):
        w.put("t", delay=delay)
    w.hold(1, "a")
    w.bury(3, "b")
    w.bury(2, "a")
    w.ask("c")
    w.put()
    w.ask("b", "default", until=3)
    w.machine.pause_tube(w.machine.clock, "t", 1)
    w.pass_to(1)


def key_of(history: History, words: Words | None = None, keys: RelativeKeys = KEYS) -> bytes:
    """The key that a history leads to."""
    w = words or Words()
    history(w)
    return keys.of(w.machine)


@pytest.mark.parametrize(
    "words", [Words(77), Words(gone=3), Words(5, gone=1, names="cab")], ids=["later", "ids", "all"]
)
def test_time_ids_and_names_do_not_matter(words: Words) -> None:
    assert key_of(rich, words) == key_of(rich)


def test_names_matter_where_clients_are_told_apart() -> None:
    named = RelativeKeys(**WORLD, exchange_clients=False)
    assert key_of(rich, Words(names="cab"), named) != key_of(rich, Words(), named)
    assert key_of(rich, Words(9, gone=2), named) == key_of(rich, Words(), named)
    assert named.arrangements(key_of(rich, Words(), named)) == 1
    assert KEYS.arrangements(key_of(rich)) == 6
    assert KEYS.arrangements(key_of(lambda w: w.ask("a"))) == 3


def test_ids_matter_where_they_are_kept() -> None:
    kept = RelativeKeys(**WORLD, keep_ids=True)
    assert key_of(Words.put, Words(gone=1), kept) != key_of(Words.put, Words(), kept)


def test_how_late_something_is_does_not_matter_but_its_order_does() -> None:
    def late(first: int, second: int, until: int) -> History:
        def history(w: Words) -> None:
            w.put(delay=first)
            w.put(delay=second)
            w.pass_to(until)

        return history

    assert key_of(late(1, 2, 3)) == key_of(late(1, 2, 9))
    assert key_of(late(1, 2, 9)) != key_of(late(2, 1, 9))
    assert key_of(late(1, 2, 1)) != key_of(late(1, 2, 2))


DIFFERENT: dict[str, tuple[History, History]] = {
    "the priority": (lambda w: w.put(), lambda w: w.put(pri=1)),
    "the ttr": (lambda w: w.put(), lambda w: w.put(ttr=1)),
    "the tube": (lambda w: w.put(), lambda w: w.put("t")),
    "ready or delayed": (lambda w: w.put(), lambda w: w.put(delay=1)),
    "how long a delay lasts yet": (lambda w: w.put(delay=1), lambda w: w.put(delay=2)),
    "whose priority it is": (lambda w: (w.put(), w.put(pri=1)), lambda w: (w.put(pri=1), w.put())),
    "which job is held": (
        lambda w: (w.put(), w.put(), w.hold(1, "a")),
        lambda w: (w.put(), w.put(), w.hold(2, "a")),
    ),
    "one holder or two": (
        lambda w: (w.put(), w.put(), w.hold(1, "a"), w.hold(2, "a")),
        lambda w: (w.put(), w.put(), w.hold(1, "a"), w.hold(2, "b")),
    ),
    "how long a job is held yet": (
        lambda w: (w.put(), w.hold(1, "a")),
        lambda w: (w.put(), w.hold(1, "a"), w.pass_to(1)),
    ),
    "the order of burials": (
        lambda w: (w.put(), w.put(), w.bury(1, "a"), w.bury(2, "a")),
        lambda w: (w.put(), w.put(), w.bury(2, "a"), w.bury(1, "a")),
    ),
    "who asked first": (
        lambda w: (w.put(), w.hold(1, "a"), w.ask("a"), w.ask("b")),
        lambda w: (w.put(), w.hold(1, "a"), w.ask("b"), w.ask("a")),
    ),
    "what a wait is for": (lambda w: w.ask("a"), lambda w: w.ask("a", "t")),
    "until when a wait lasts": (lambda w: w.ask("a", until=1), lambda w: w.ask("a", until=2)),
    "whether a wait ends": (lambda w: w.ask("a"), lambda w: w.ask("a", until=2)),
    "whether an answer is owed": (
        lambda w: (w.put(), w.hold(1, "a"), w.ask("b", until=9)),
        lambda w: (w.ask("a"), w.put(), w.ask("b", until=9)),
    ),
    "a pause": (lambda w: w.machine.pause_tube(0, "default", 0), lambda w: w.put() and None),
    "how long a pause lasts yet": (
        lambda w: w.machine.pause_tube(0, "default", 1),
        lambda w: w.machine.pause_tube(0, "default", 2),
    ),
    "which tube is used": (lambda w: w.machine.use_tube("a", "default"), lambda w: w.machine.use_tube("a", "t")),
    "which tube is watched": (
        lambda w: w.machine.watch_tube("a", "default"),
        lambda w: w.machine.watch_tube("a", "t"),
    ),
    "a delay that is over": (
        lambda w: w.put(),
        lambda w: (w.put(delay=1), w.machine.kick(1)),
    ),
    "whether a client is known": (lambda w: None, lambda w: w.ask("a", until=0)),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_a_later_call_can_tell_apart_is_told_apart(what: str) -> None:
    one, other = DIFFERENT[what]
    assert key_of(one) != key_of(other)


def test_what_is_left_out_is_left_out() -> None:
    lean = RelativeKeys(**WORLD, keep_delays=False, keep_strangers=False)
    for what in ("a delay that is over", "whether a client is known"):
        one, other = DIFFERENT[what]
        assert key_of(one, keys=lean) == key_of(other, keys=lean)


def test_counters_do_not_matter() -> None:
    def worn(w: Words) -> None:
        w.put()
        for _ in range(3):
            w.hold(1, "a")
            w.machine.release(1, "a")
        w.machine.pause_tube(w.machine.clock, "default", 1)
        w.machine.tick(w.machine.clock + 1)

    def known(w: Words) -> None:
        w.ask("a", until=0)
        w.put()

    assert key_of(worn) == key_of(known)
