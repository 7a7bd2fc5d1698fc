"""A machine that is checked at every call: for the tests of a program that uses one.

`CheckedMachine` has the operations of `jsm.interface.JSM`. After each call come the watcher's rules, the invariants
and the comparison with the specification; the first thing that does not hold raises `InvariantViolation` there and
then, and stays in `violation` for whoever asks later, should the program under test swallow the exception.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from jsm.errors import InvariantViolation, JsmError
from jsm.interface import JobRecord, JSMSnapshot, SnapshotHeader
from jsm.job import TubeName
from jsm.limits import MAX_JOB_SIZE
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord, Observer, TransitionRecord
from jsm.reservations import ClientResvEntry
from jsm.states import JobState
from models.calls import Call, plain, run_spec, state_of_machine, state_of_spec
from models.differing import narrowed
from models.invariants import InvariantChecker
from models.spec import Spec
from models.spec_world import Answer, Client, Job, Record, Refused, Tube, Wait
from models.watcher import TransitionWatcher

P = ParamSpec("P")
R = TypeVar("R")

SHOWN_CALLS_MAX: Final = 12
"""How many of the last calls a violation shows."""


def _checked(operation: Callable[Concatenate[ObservedMachine, P], R]) -> Callable[Concatenate["CheckedMachine", P], R]:
    """The operation, and then all checks, whether it returned or was refused."""
    name = operation.__name__

    def call(self: "CheckedMachine", /, *args: P.args, **kwargs: P.kwargs) -> R:
        # An iterator can be read once only, and three parties want to read it.
        given = Call(name, tuple(map(_lasting, args)), {field: _lasting(value) for field, value in kwargs.items()})
        try:
            result = operation(self.observed, *given.args, **given.kwargs)
        except JsmError as error:
            self._checks.ended(given, {"refused": str(error.refusal)})
            raise
        except Exception as error:
            self._checks.crashed(given, error)
            raise
        self._checks.ended(given, {"ok": result})
        return result

    update_wrapper(call, operation)
    return call


def _lasting(value: Any) -> Any:
    is_stream = isinstance(value, Iterable) and not isinstance(value, Sequence | Mapping | memoryview)
    return tuple(value) if is_stream else value


class CheckedMachine:
    """A machine under the watcher, the invariants and the specification. O(jobs + clients + tubes) a call.

    `make_machine` is `Machine` or a subclass; `observer` sees the records of both kinds. A restore by way of
    `snapshot` is followed: the checks go on from the restored state.
    """

    __slots__ = ("_checks", "observed")

    def __init__(
        self,
        *,
        units_per_second: int = 1,
        max_job_size: int = MAX_JOB_SIZE,
        make_machine: Callable[..., Machine] = Machine,
        observer: Observer | None = None,
    ) -> None:
        self._checks = _Checks(observer)
        self.observed = ObservedMachine(
            observer=self._checks,
            units_per_second=units_per_second,
            max_job_size=max_job_size,
            make_machine=make_machine,
        )
        self._checks.attach(self.observed.machine)

    put = _checked(ObservedMachine.put)
    delete = _checked(ObservedMachine.delete)
    release = _checked(ObservedMachine.release)
    release_with = _checked(ObservedMachine.release_with)
    touch = _checked(ObservedMachine.touch)
    bury = _checked(ObservedMachine.bury)
    kick = _checked(ObservedMachine.kick)
    kick_n = _checked(ObservedMachine.kick_n)
    peek_ready_job = _checked(ObservedMachine.peek_ready_job)
    peek_delayed_job = _checked(ObservedMachine.peek_delayed_job)
    peek_buried_job = _checked(ObservedMachine.peek_buried_job)
    get_job = _checked(ObservedMachine.get_job)
    append_reservation = _checked(ObservedMachine.append_reservation)
    reserve_job = _checked(ObservedMachine.reserve_job)
    cancel_reservation = _checked(ObservedMachine.cancel_reservation)
    tick = _checked(ObservedMachine.tick)
    pause_tube = _checked(ObservedMachine.pause_tube)
    use_tube = _checked(ObservedMachine.use_tube)
    watch_tube = _checked(ObservedMachine.watch_tube)
    ignore_tube = _checked(ObservedMachine.ignore_tube)
    close_client = _checked(ObservedMachine.close_client)
    check_client_state = _checked(ObservedMachine.check_client_state)
    get_tubes = _checked(ObservedMachine.get_tubes)
    get_stats_job_as_yaml = _checked(ObservedMachine.get_stats_job_as_yaml)
    get_stats_tube_as_yaml = _checked(ObservedMachine.get_stats_tube_as_yaml)
    get_stats_as_yaml = _checked(ObservedMachine.get_stats_as_yaml)
    count_command = _checked(ObservedMachine.count_command)
    stop = _checked(ObservedMachine.stop)

    @property
    def violation(self) -> InvariantViolation | None:
        """The first that did not hold; None: so far all does."""
        return self._checks.violation

    @property
    def calls(self) -> list[Call]:
        """All calls so far, refused ones included."""
        return self._checks.calls

    @property
    def clock(self) -> int:
        """See `Machine.clock`."""
        return self.observed.clock

    @property
    def units_per_second(self) -> int:
        """See `Machine.units_per_second`."""
        return self.observed.units_per_second

    @property
    def max_job_size(self) -> int:
        """See `Machine.max_job_size`."""
        return self.observed.max_job_size

    @property
    def record_seq(self) -> int:
        """See `Machine.record_seq`."""
        return self.observed.record_seq

    def count_jobs(self, tube: TubeName | None = None) -> dict[JobState, int]:
        """See `Machine.count_jobs`."""
        return self.observed.count_jobs(tube)

    def next_tick_at(self) -> int | None:
        """See `Machine.next_tick_at`."""
        return self.observed.next_tick_at()

    def snapshot(self) -> JSMSnapshot:
        """See `Machine.snapshot`; after a restore the checks go on from there."""
        return _Snapshot(self.observed.snapshot(), self._restored)

    def _restored(self, found: tuple[Any, ...], offered: tuple[Any, ...]) -> None:
        self._checks.restored(self.observed.machine, found, offered)


class _Snapshot:
    """A snapshot that compares a restored machine with what it was offered, and then tells of it."""

    __slots__ = ("_clients", "_header", "_inner", "_jobs", "_restored")

    def __init__(self, inner: JSMSnapshot, restored: Callable[[tuple[Any, ...], tuple[Any, ...]], None]) -> None:
        self._inner = inner
        self._restored = restored
        self._header: SnapshotHeader | None = None
        self._jobs: list[JobRecord] = []
        self._clients: list[ClientResvEntry] = []

    def header(self) -> SnapshotHeader:
        return self._inner.header()

    def snapshot_jobs(self) -> Iterator[JobRecord]:
        return self._inner.snapshot_jobs()

    def snapshot_clients(self) -> Iterator[ClientResvEntry]:
        return self._inner.snapshot_clients()

    def restore_header(self, header: SnapshotHeader) -> None:
        self._header, self._jobs, self._clients = header, [], []
        self._inner.restore_header(header)

    def restore_jobs(self, jobs: Iterable[JobRecord]) -> None:
        self._inner.restore_jobs(_kept(jobs, self._jobs))

    def restore_clients(self, clients: Iterable[ClientResvEntry]) -> None:
        self._inner.restore_clients(_kept(clients, self._clients))

    def cancel_restore(self) -> None:
        self._inner.cancel_restore()

    def finalize_restore(self) -> None:
        self._inner.finalize_restore()
        parts = (self.header(), list(self.snapshot_jobs()), list(self.snapshot_clients()))
        self._restored(parts, (self._header, self._jobs, self._clients))


def _kept(entries: Iterable[R], kept: list[R]) -> Iterator[R]:
    """The entries, each of which is kept as it passes."""
    for entry in entries:
        kept.append(entry)
        yield entry


class _Checks:
    """What is asked after each call; an observer that passes the records on."""

    def __init__(self, observer: Observer | None) -> None:
        self.calls: list[Call] = []
        self.violation: InvariantViolation | None = None
        self._observer = observer
        self._records: list[TransitionRecord] = []

    def attach(self, machine: Machine) -> None:
        """Begin at the state in which the machine is."""
        self._machine = machine
        self._watcher = TransitionWatcher.from_snapshot(machine.snapshot())
        self._invariants = InvariantChecker()
        self._invariants.attach(machine)
        self._spec = spec_of(machine)
        self._records.clear()

    def restored(self, machine: Machine, found: tuple[Any, ...], offered: tuple[Any, ...]) -> None:
        """Compare a restored machine's header, jobs and clients with what it was offered, and go on from there."""
        self.calls.append(Call("finalize_restore"))
        try:
            for part, is_there, should_be in zip(("header", "jobs", "clients"), found, offered, strict=True):
                if is_there != should_be:
                    message = f"the {part} are {is_there}; offered were {should_be}"
                    raise InvariantViolation("a_restored_machine_is_the_same", message)
            self.attach(machine)
        except InvariantViolation as violation:
            self._note(violation)
            raise

    def transition(self, record: TransitionRecord) -> None:
        """Keep the record for the checks of its call."""
        self._records.append(record)
        if self._observer is not None:
            self._observer.transition(record)

    def command(self, record: CommandRecord) -> None:
        """Pass the record on: the checks need the values themselves."""
        if self._observer is not None:
            self._observer.command(record)

    def crashed(self, call: Call, error: Exception) -> None:
        """Note that a call raised something that is no refusal."""
        self.calls.append(call)
        self._note(InvariantViolation("crash", f"{call.op} raised {error!r}, which is no refusal"))

    def ended(self, call: Call, outcome: dict[str, Any]) -> None:
        """Check a call that has just ended; raises `InvariantViolation`."""
        self.calls.append(call)
        records, self._records = self._records, []
        try:
            self._watcher.consume(records)
            for record in records:
                self._invariants.transition(record)
            self._invariants.step(call, outcome)
            self._compare(call, outcome, records)
        except InvariantViolation as violation:
            self._note(violation)
            raise

    def _note(self, violation: InvariantViolation) -> None:
        shown = self.calls[-SHOWN_CALLS_MAX:]
        head = f"the last {len(shown)} of {len(self.calls)} calls" if shown != self.calls else "the calls"
        violation.add_note("\n".join([f"{head}:", *(f"  {call}" for call in shown)]))
        self.violation = self.violation or violation

    def _compare(self, call: Call, outcome: dict[str, Any], records: list[TransitionRecord]) -> None:
        spec, before = self._spec, len(self._spec.records)
        if call.op == "get_stats_as_yaml":  # what a server says of itself is not the specification's
            own = Call(call.op, call.args[:1], {field: value for field, value in call.kwargs.items() if field == "now"})
            if own != call and "refused" in outcome:
                return
            call = own
        try:
            seen = {field: plain(value) for field, value in outcome.items()}
        except ValueError as error:
            raise InvariantViolation("lock-step outcome", f"{call.op} returned no statistics: {error}") from None
        try:
            wanted = {"ok": run_spec(spec, call)}
        except Refused as refusal:
            wanted = {"refused": refusal.category}
        if call.op == "get_stats_as_yaml" and "ok" in seen and "ok" in wanted:
            seen["ok"] = {key: value for key, value in seen["ok"].items() if key in wanted["ok"]}
        _agree("outcome", call, seen, wanted)
        _agree("records", call, [tuple(each) for each in records], [tuple(each) for each in spec.records[before:]])
        if not spec.stopped:
            _agree("next_tick_at", call, self._machine.next_tick_at(), spec.next_tick_at())
            worlds = state_of_machine(self._machine), state_of_spec(spec)
            for part in worlds[1]:
                _agree(f"state {part}", call, worlds[0][part], worlds[1][part])


def _agree(what: str, call: Call, machine: Any, spec: Any) -> None:
    if machine != spec:
        found = narrowed(what, machine, spec)
        message = f"after {call.op} the machine has {found.machine}; the specification wants {found.spec}"
        raise InvariantViolation(f"lock-step {what}", message)


def spec_of(machine: Machine) -> Spec:
    """A specification in the state in which the machine is, as far as its snapshot shows it. O(n)."""
    snapshot = machine.snapshot()
    header = snapshot.header()
    spec = Spec(units_per_second=header.units_per_second, max_job_size=header.max_job_size)
    spec.clock = header.clock
    spec.next_job_id, spec.next_bury_number = header.next_job_id, header.next_bury_number
    spec.total_jobs, spec.job_timeouts = header.total_jobs, header.job_timeouts
    spec.commands = dict(header.commands)
    spec.tubes = [
        Tube(tube.name, tube.pause_seconds, tube.pause_ends_at, tube.total_jobs, tube.deletes, tube.pauses)
        for tube in header.tubes
    ]
    spec.jobs = {entry.job.id: Job(*entry.job, entry.bury_number) for entry in snapshot.snapshot_jobs()}
    for client in snapshot.snapshot_clients():
        name = str(client.client_id)
        spec.clients[name] = Client(client.uses, tuple(map(str, client.watches)))
        if client.is_waiting:
            spec.waiting.append(Wait(name, client.request_id, tuple(client.watched_tubes), client.deadline_at))
        if client.owed is not None:
            spec.owed.append(Answer(*plain(client.owed)))
    unknown = Record(0, header.clock, 0, "", "", "", "", None)
    spec.records = [unknown] * header.record_seq  # they are only counted
    return spec
