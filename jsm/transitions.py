"""The only transition table: (state, trigger) → state.

Four readers use it and none keeps a copy: the machine's guard (`Machine._move`), the networkx graph, the
diagrams, and the trace checker. Two things stay independent of it on purpose, because four readers share
one mistake: the hand-written square in `tests/test_transitions.py` and the specification `models/spec.py`.

A cell is a pure function of (state, trigger). A condition (is the delay 0? does the caller own the job?)
chooses the trigger or refuses the command; it never hides in a target.

Source: beanstalkd `doc/protocol.txt`, section "Job Lifecycle", and the commands `reserve-job` and `kick-job`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from jsm.states import JobState, Trigger

TRANSITIONS: Final[Mapping[JobState, Mapping[Trigger, JobState]]] = MappingProxyType(
    {
        JobState.NEW: MappingProxyType(
            {
                Trigger.PUT: JobState.READY,
                Trigger.PUT_DELAYED: JobState.DELAYED,  # put with delay > 0
            }
        ),
        JobState.DELAYED: MappingProxyType(
            {
                Trigger.DELAY_ELAPSED: JobState.READY,  # only a tick ends a delay
                Trigger.KICK: JobState.READY,  # kick and kick-job end it early, for anyone
                Trigger.RESERVE_JOB: JobState.RESERVED,  # by id: the delay and the watch list do not matter
                Trigger.DELETE: JobState.DELETED,  # by anyone
            }
        ),
        JobState.READY: MappingProxyType(
            {
                Trigger.RESERVE: JobState.RESERVED,  # matched with a waiting client
                Trigger.RESERVE_JOB: JobState.RESERVED,
                Trigger.DELETE: JobState.DELETED,  # by anyone
            }
        ),
        JobState.RESERVED: MappingProxyType(
            {
                Trigger.TOUCH: JobState.RESERVED,  # the owner starts its ttr again
                Trigger.RELEASE: JobState.READY,
                Trigger.RELEASE_DELAYED: JobState.DELAYED,  # release with delay > 0
                Trigger.BURY: JobState.BURIED,
                Trigger.DELETE: JobState.DELETED,  # by its owner only
                Trigger.TTR_EXPIRED: JobState.READY,  # only a tick expires a ttr; counts a timeout
                Trigger.CLOSE: JobState.READY,  # the owner's connection went; counts nothing
            }
        ),
        JobState.BURIED: MappingProxyType(
            {
                Trigger.KICK: JobState.READY,
                Trigger.RESERVE_JOB: JobState.RESERVED,
                Trigger.DELETE: JobState.DELETED,  # by anyone
            }
        ),
        JobState.DELETED: MappingProxyType({}),  # the end: an id is never used again
    }
)


class Transition(NamedTuple):
    """One cell of the table: an edge of the state diagram."""

    source: JobState
    trigger: Trigger
    target: JobState


def target_of(source: JobState, trigger: Trigger) -> JobState | None:
    """The state that `trigger` leads to from `source`, or None where the table has no cell."""
    return TRANSITIONS[source].get(trigger)


def transitions() -> Iterator[Transition]:
    """Every cell, in the table's order, which is the order of all reports on edges."""
    for source, row in TRANSITIONS.items():
        for trigger, target in row.items():
            yield Transition(source, trigger, target)
