"""Records: plain tuples of fixed fields, versioned."""

from jsm.records import RECORD_VERSION, CommandRecord, TransitionRecord
from jsm.states import JobState, Trigger
from tests.machines import Notes, driver_of, file_of, full_machine, machine_from


def test_the_version_and_the_fields_go_together() -> None:
    """A changed field asks for a new version."""
    assert (RECORD_VERSION, TransitionRecord._fields, CommandRecord._fields) == (
        1,
        ("seq", "at", "job", "tube", "source", "trigger", "target", "client"),
        ("seq", "at", "client", "op", "args", "outcome"),
    )


def test_a_transition_says_what_happened_to_whom() -> None:
    notes = Notes()
    from_full = machine_from([file_of(full_machine())], observer=notes)
    d = driver_of(from_full)
    d.call("reserve_job", 12, 3, "b")
    assert notes.records == [
        TransitionRecord(10, 12, 3, "t", JobState.DELAYED, Trigger.RESERVE_JOB, JobState.RESERVED, "b")
    ]


def test_nobody_puts_and_kicks_and_the_loser_of_a_job_is_named() -> None:
    notes = Notes()
    d = driver_of(machine_from([file_of(full_machine())], observer=notes))
    d.at(10).put()
    d.call("kick", 4)
    d.tick_at(109)
    d.call("delete", 2, "whoever")
    told = [(r.job, str(r.trigger), r.client) for r in notes.records if isinstance(r, TransitionRecord)]
    assert told == [
        (6, "put", None),
        (4, "kick", None),
        (3, "delay-elapsed", None),
        (1, "ttr-expired", "a"),
        (5, "ttr-expired", "c"),
        (2, "delete", "whoever"),
    ]
