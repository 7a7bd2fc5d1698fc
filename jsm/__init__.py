"""The beanstalkd job state machine: deterministic, without a clock, input or output.

Here stand the names that a program needs to embed the machine. What is beside them has a module of its own: the
seed's containers (`jsm.heaps`), statistics as values (`jsm.statistics`), traces (`jsm.trace`), snapshots as bytes
(`jsm.snapshot_codec`) and files (`jsm.journal`), every error (`jsm.errors`). `jsm/README.md` maps all of them.
"""

from jsm.errors import (
    BadValueError,
    BodyTooBigError,
    ClientIsWaitingError,
    EmptyClientError,
    EntryMissingError,
    IllegalTransitionError,
    InvariantViolation,
    JsmError,
    NotOwnerError,
    Refusal,
    SnapshotError,
    StoppedError,
    TimeBackwardsError,
    UnknownJobError,
    UnknownTubeError,
)
from jsm.interface import JSM, ClientStates, JSMSnapshot
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandObserver, CommandRecord, Observer, Record, TransitionObserver, TransitionRecord
from jsm.reservations import Reservation, ReservationStatus
from jsm.states import JobState, Trigger
from jsm.transitions import TRANSITIONS, Transition, target_of, transitions

__all__ = [
    "JSM",
    "TRANSITIONS",
    "BadValueError",
    "BodyTooBigError",
    "ClientID",
    "ClientIsWaitingError",
    "ClientStates",
    "CommandObserver",
    "CommandRecord",
    "EmptyClientError",
    "EntryMissingError",
    "IllegalTransitionError",
    "InvariantViolation",
    "JSMSnapshot",
    "JobID",
    "JobState",
    "JobView",
    "JsmError",
    "Machine",
    "NotOwnerError",
    "ObservedMachine",
    "Observer",
    "Record",
    "Refusal",
    "Reservation",
    "ReservationStatus",
    "SnapshotError",
    "StoppedError",
    "TimeBackwardsError",
    "Transition",
    "TransitionObserver",
    "TransitionRecord",
    "Trigger",
    "TubeName",
    "UnknownJobError",
    "UnknownTubeError",
    "target_of",
    "transitions",
]
