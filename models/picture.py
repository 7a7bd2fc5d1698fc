"""What can be seen of a machine at one instant, as plain values for the invariants to recount.

A `Picture` is made of looks that change nothing, not even a counter: the snapshot's three parts, the counts, the
next tick. `Looks` are the answers that count as commands (peeks, views, statistics); they are taken apart from the
picture, because they are dear and because taking them moves the `cmd-*` counters.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from typing import Any, NamedTuple, Protocol

from jsm.errors import EntryMissingError
from jsm.interface import ClientStates, JSMSnapshot, SnapshotHeader, TubeEntry
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.reservations import ClientResvEntry, Reservation
from jsm.states import JobState
from jsm.statistics import ProcessValue


class Seen(Protocol):
    """What a picture is taken of: the looks of a machine that change nothing."""

    def snapshot(self) -> JSMSnapshot:
        """The handle to read the whole state out."""

    def count_jobs(self, tube: TubeName | None = None) -> dict[JobState, int]:
        """How many jobs are in each state, of all or of one tube."""

    def get_tubes(self) -> list[TubeName]:
        """The names of all tubes."""

    def next_tick_at(self) -> int | None:
        """When a tick would next do something."""


class Asked(Seen, Protocol):
    """What looks are taken of: the looks that count as commands, too."""

    def get_job(self, job_id: JobID) -> JobView:
        """The job."""

    def peek_ready_job(self, tube: TubeName) -> JobView:
        """The ready job that comes next."""

    def peek_delayed_job(self, tube: TubeName) -> JobView:
        """The delayed job that comes next."""

    def peek_buried_job(self, tube: TubeName) -> JobView:
        """The buried job that comes next."""

    def check_client_state(self, client_ids: Iterable[ClientID]) -> ClientStates:
        """Which of the clients wait, which don't, which are unknown."""

    def get_stats_as_yaml(self, now: int, process: Mapping[str, ProcessValue] | None = None) -> bytes:
        """The machine's statistics."""

    def get_stats_tube_as_yaml(self, now: int, tube: TubeName) -> bytes:
        """A tube's statistics."""

    def get_stats_job_as_yaml(self, now: int, job_id: JobID) -> bytes:
        """A job's statistics."""


class Picture(NamedTuple):
    """A machine at one instant. Mappings keep the order in which the machine listed their entries."""

    units_per_second: int
    max_job_size: int
    clock: int
    next_job_id: int
    record_seq: int
    next_bury_number: int
    total_jobs: int
    job_timeouts: int
    commands: Mapping[str, int]
    tubes: Mapping[str, TubeEntry]
    tube_names: Sequence[str]  # as `get_tubes` lists them
    jobs: Mapping[int, JobView]
    bury_numbers: Mapping[int, int]  # by id, of every job that has one
    clients: Mapping[str, ClientResvEntry]
    waiting: Sequence[ClientResvEntry]  # in order of asking
    owed: Sequence[Reservation]  # in order of matching
    counts: Mapping[JobState, int]  # as `count_jobs` gives them
    counts_by_tube: Mapping[str, Mapping[JobState, int]]
    declared: tuple[int, int]  # how many jobs and clients the snapshot's header announces
    streamed: tuple[int, int]  # how many jobs and clients its streams gave
    next_tick_at: int | None


class Looks(NamedTuple):
    """What the machine answers to whoever asks; a job's absence is None."""

    stats: Mapping[str, int | str]
    tubes: Mapping[str, Mapping[str, int | str]]
    jobs: Mapping[int, Mapping[str, int | str]]
    views: Mapping[int, JobView | None]
    peeks: Mapping[str, tuple[JobView | None, JobView | None, JobView | None]]  # ready, delayed, buried
    clients: ClientStates  # of all clients and one that was never there


STRANGER = ClientID("a client that was never there")
"""The client that looks ask for beside the known ones."""


def picture_of(machine: Seen) -> Picture:
    """Look at a machine without changing anything of it. O(jobs + clients + tubes).

    Raises `StoppedError` when the machine is stopped: nothing can be seen of it any more.
    """
    snapshot = machine.snapshot()
    header: SnapshotHeader = snapshot.header()
    jobs: dict[int, JobView] = {}
    bury_numbers: dict[int, int] = {}
    jobs_streamed = 0
    for record in snapshot.snapshot_jobs():
        view = record.job
        jobs[view.id] = view
        jobs_streamed += 1
        if record.bury_number:
            bury_numbers[view.id] = record.bury_number
    entries = list(snapshot.snapshot_clients())
    tubes = {entry.name: entry for entry in header.tubes}
    return Picture(
        header.units_per_second,
        header.max_job_size,
        header.clock,
        header.next_job_id,
        header.record_seq,
        header.next_bury_number,
        header.total_jobs,
        header.job_timeouts,
        header.commands,
        tubes,  # type: ignore[arg-type]  # a tube's name is a string
        machine.get_tubes(),
        jobs,
        bury_numbers,
        {entry.client_id: entry for entry in entries},
        [entry for entry in entries if entry.is_waiting],
        [entry.owed for entry in entries if entry.owed is not None],
        machine.count_jobs(),
        {name: machine.count_jobs(name) for name in tubes},
        (header.jobs, header.clients),
        (jobs_streamed, len(entries)),
        machine.next_tick_at(),
    )


def looks_of(machine: Asked, picture: Picture) -> Looks:
    """Ask the machine for everything that the picture names. O(jobs + clients + tubes).

    Counts in the machine's `cmd-*`; nothing else changes. The statistics come first, so that they still show the
    picture's counts. Raises `ValueError` for a text that is no statistics.
    """
    now = picture.clock
    return Looks(
        stats=parsed(machine.get_stats_as_yaml(now)),
        tubes={tube: parsed(machine.get_stats_tube_as_yaml(now, TubeName(tube))) for tube in picture.tubes},
        jobs={job: parsed(machine.get_stats_job_as_yaml(now, JobID(job))) for job in picture.jobs},
        views={job: _found(machine.get_job, JobID(job)) for job in picture.jobs},
        peeks={
            tube: (
                _found(machine.peek_ready_job, TubeName(tube)),
                _found(machine.peek_delayed_job, TubeName(tube)),
                _found(machine.peek_buried_job, TubeName(tube)),
            )
            for tube in picture.tubes
        },
        clients=machine.check_client_state([*map(ClientID, picture.clients), STRANGER]),
    )


def parsed(text: bytes) -> dict[str, int | str]:
    """The pairs of a statistics body: whole numbers as such, all else as text, quotes taken off.

    Raises `ValueError` when it is not `---` and lines of `key: value`, or a key comes twice.
    """
    head, *lines = text.decode().split("\n")
    if head != "---" or lines.pop() != "":
        raise ValueError(f"statistics begin with '---' and end with a line feed, unlike {text!r}")
    pairs: dict[str, int | str] = {}
    for line in lines:
        key, colon, value = line.partition(": ")
        if not colon or key in pairs:
            raise ValueError(f"not a pair, or a second one: {line!r}")
        digits = value.removeprefix("-")
        pairs[key] = int(value) if digits.isascii() and digits.isdecimal() else value.strip('"')
    return pairs


def _found(look: Callable[[Any], JobView], what: Any) -> JobView | None:
    try:
        return look(what)
    except EntryMissingError:
        return None


def differences(before: Picture, after: Picture, *, apart_from: Iterable[str] = ()) -> Iterator[tuple[str, Any, Any]]:
    """The fields of two pictures that differ, each with both values; mappings are compared in their order, too."""
    left_out = tuple(apart_from)
    pairs: Iterable[tuple[str, Any, Any]] = zip(Picture._fields, before, after, strict=True)
    for field, old, new in pairs:
        if field in left_out:
            continue
        if old != new:
            yield (field, old, new) if not isinstance(old, Mapping) else _entry(field, old, new)
        elif field in _ORDERED and list(old) != list(new):
            yield field, list(old), list(new)


_ORDERED = ("commands", "tubes", "jobs", "clients")


def _entry(field: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> tuple[str, Any, Any]:
    """The first entry of a mapping that differs; of a job, tube or client that stayed, its first field that does."""
    for key in chain(old, new):
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        if type(was) is type(now) and isinstance(was, JobView | TubeEntry | ClientResvEntry):
            names = was._fields if isinstance(was, JobView) else [each.name for each in fields(was)]
            name = next(name for name in names if getattr(was, name) != getattr(now, name))
            return f"{field}[{key!r}].{name}", getattr(was, name), getattr(now, name)
        return f"{field}[{key!r}]", was, now
    return field, old, new
