"""Machines without the specification beside them: short words, whole states, restored twins, histories."""

import contextlib
from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

from jsm.errors import JsmError
from jsm.interface import JobRecord, SnapshotHeader
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord, Record, TransitionObserver, TransitionRecord
from jsm.reservations import ClientResvEntry
from jsm.snapshot_codec import encode_snapshot, restore_snapshot
from models.calls import Call, plain, run_spec, state_of_machine
from models.spec import Spec
from models.spec_world import Refused
from tests.driver import Driver
from tests.random_calls import random_call
from tests.refusals import CLOCK, build


class Notes:
    """An observer that keeps everything, in order."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def transition(self, record: TransitionRecord) -> None:
        """Keep a transition."""
        self.records.append(record)

    def command(self, record: CommandRecord) -> None:
        """Keep a command."""
        self.records.append(record)

    def edges(self) -> list[str]:
        """The transitions as "source trigger target"."""
        return [f"{r.source} {r.trigger} {r.target}" for r in self.records if isinstance(r, TransitionRecord)]


def driver_of(machine: Machine | ObservedMachine, *, second: int = 1) -> Driver:
    """The short words of histories, over a machine alone; refusals are the machine's own errors."""
    return Driver(lambda call: plain(getattr(machine, call.op)(*call.args, **call.kwargs)), second=second)


def outcome(machine: Machine | ObservedMachine, call: Call) -> tuple[str, Any]:
    """How a call ended: what it returned, or the class and text of its refusal."""
    try:
        return "ok", plain(getattr(machine, call.op)(*call.args, **call.kwargs))
    except JsmError as error:
        return type(error).__name__, str(error)


def file_of(machine: Machine | ObservedMachine) -> bytes:
    """The machine's snapshot as a file would hold it."""
    return b"".join(encode_snapshot(machine.snapshot()))


def machine_from(file: Iterable[bytes], *, observer: TransitionObserver | None = None) -> Machine:
    """A new machine with the state that a snapshot file holds."""
    machine = Machine(observer=observer)
    restore_snapshot(machine.snapshot(), file)
    return machine


def state_but_commands(machine: Machine) -> dict[str, Any]:
    """Everything that a refused call must leave alone: all but the `cmd-*` counters."""
    return {field: value for field, value in state_of_machine(machine).items() if field != "commands"}


def random_history(seed: int, *, calls: int, second: int = 1) -> list[Call]:
    """Calls that are mostly plausible one after the other, refusals included; no restore among them."""
    random, spec = Random(seed), Spec(units_per_second=second, max_job_size=65535)
    made: list[Call] = []
    while len(made) < calls:
        call = random_call(random, spec)
        if call.op == "reload":
            continue
        made.append(call)
        with contextlib.suppress(Refused):
            run_spec(spec, call)
    return made


class Parts(NamedTuple):
    """A snapshot, to be spoilt."""

    header: SnapshotHeader
    jobs: list[JobRecord]
    clients: list[ClientResvEntry]


def parts_of(machine: Machine) -> Parts:
    """The three parts of a machine's snapshot."""
    snapshot = machine.snapshot()
    return Parts(snapshot.header(), list(snapshot.snapshot_jobs()), list(snapshot.snapshot_clients()))


def restore(machine: Machine, parts: Parts) -> None:
    """Restore in one go."""
    snapshot = machine.snapshot()
    snapshot.restore_header(parts.header)
    snapshot.restore_jobs(parts.jobs)
    snapshot.restore_clients(parts.clients)
    snapshot.finalize_restore()


def full_machine() -> Machine:
    """Jobs in all states, a wait, an owed answer, references, a pause."""
    machine = Machine()
    d = driver_of(machine)
    build(d)
    d.call("pause_tube", CLOCK, "t", 7)
    return machine


def busy_machine() -> Machine:
    """A machine with a state of its own, which a bad restore must leave alone."""
    machine = Machine()
    d = driver_of(machine).at(3)
    d.hold("z", "mine")
    d.put("mine", delay=5)
    d.ask("y", "else")
    return machine
