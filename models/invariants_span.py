"""The invariants of what happened between two pictures, over any number of calls with all their records."""

from collections.abc import Mapping
from typing import Final

from jsm.job import JobView
from models.invariants_rule import Broken, Rule, clause
from models.invariants_step import Step

# The 19 edges of SPEC 2, by hand: the invariants are stated without the machine's table.
_EDGES: Final = frozenset(
    {
        ("new", "put", "ready"),
        ("new", "put-delayed", "delayed"),
        ("delayed", "delay-elapsed", "ready"),
        ("delayed", "kick", "ready"),
        ("delayed", "reserve-job", "reserved"),
        ("delayed", "delete", "deleted"),
        ("ready", "reserve", "reserved"),
        ("ready", "reserve-job", "reserved"),
        ("ready", "delete", "deleted"),
        ("reserved", "touch", "reserved"),
        ("reserved", "release", "ready"),
        ("reserved", "release-delayed", "delayed"),
        ("reserved", "bury", "buried"),
        ("reserved", "delete", "deleted"),
        ("reserved", "ttr-expired", "ready"),
        ("reserved", "close", "ready"),
        ("buried", "kick", "ready"),
        ("buried", "reserve-job", "reserved"),
        ("buried", "delete", "deleted"),
    }
)

# Which counter of a job (its place in a view) a trigger adds one to.
_COUNTER: Final[Mapping[str, int]] = {
    "reserve": 12,
    "reserve-job": 12,
    "ttr-expired": 13,
    "release": 14,
    "release-delayed": 14,
    "bury": 15,
    "kick": 16,
}


@clause("S22")
def time_never_goes_back(step: Step) -> bool:
    """The clock never goes back, and the records between two pictures are numbered and dated without a gap."""
    before, after = step.before, step.after
    if after.clock < before.clock:
        raise Broken(f"the clock went from {before.clock} to {after.clock}", f"{before.clock} or later")
    seq, at = before.record_seq, before.clock
    for record in step.records:
        if record[0] != seq + 1 or not at <= record[1] <= after.clock:
            raise Broken(
                f"record {record[0]} at {record[1]}", f"record {seq + 1}, at an instant from {at} to {after.clock}"
            )
        seq, at = record[0], record[1]
    if after.record_seq != seq:
        raise Broken(f"the machine counts {after.record_seq} records", f"{seq}")
    return after.clock > before.clock or bool(step.records)


@clause("S2")
def states_change_along_the_edges(step: Step) -> bool:
    """Only the 19 edges change a job's state, each record starts where the last ended, the job is where it ends."""
    before, after = step.before.jobs, step.after.jobs
    for job_id, records in step.moves.items():
        old, new = before.get(job_id), after.get(job_id)
        state = "new" if old is None else str(old.state)
        for record in records:
            if (record[4], record[5], record[6]) not in _EDGES or record[4] != state:
                raise Broken(
                    f"job {job_id}, {state}, went from {record[4]} by {record[5]} to {record[6]}",
                    f"an edge that leads from {state}",
                )
            if (old or new) is not None and record[3] != (old or new).tube:  # type: ignore[union-attr]
                raise Broken(f"a record has job {job_id} in tube {record[3]!r}", "its own tube")
            state = str(record[6])
        if (state == "deleted") != (new is None) or (new is not None and new.state != state):
            raise Broken(f"job {job_id} is {'gone' if new is None else new.state}", f"{state}, as its records say")
    for was, job in step.changed:
        if job.id not in step.moves and (was is None or was.state != job.state):
            raise Broken(f"job {job.id} became {job.state} without a record", "a record of every change")
    return bool(step.records)


@clause("S11")
def a_job_goes_by_delete_only(step: Step) -> bool:
    """A job leaves the machine by delete and in no other way, and a deleted one is gone."""
    gone = [job_id for job_id in step.before.jobs if job_id not in step.after.jobs]
    deleted = [record[2] for record in step.records if record[5] == "delete"]
    for job_id in gone:
        if job_id not in deleted:
            raise Broken(f"job {job_id}, {step.before.jobs[job_id].state}, is gone", "a delete of it")
    for job_id in deleted:
        if job_id in step.after.jobs:
            raise Broken(f"job {job_id} was deleted and is {step.after.jobs[job_id].state}", "that it is gone")
    return bool(gone or deleted)


@clause("S3")
def ids_strictly_increase(step: Step) -> bool:
    """Ids grow by one with each successful put and with nothing else, and are never used again."""
    next_id = step.before.next_job_id
    for record in step.records:
        if record[4] == "new":
            if record[2] != next_id:
                raise Broken(f"a put made job {record[2]}", f"job {next_id}")
            next_id += 1
    if step.after.next_job_id != next_id:
        raise Broken(f"the next id is {step.after.next_job_id}", f"{next_id}")
    return next_id > step.before.next_job_id


@clause("S15")
def counters_count_their_events(step: Step) -> bool:
    """A job's reserves, timeouts, releases, buries and kicks grow by one at each such event and at nothing else."""
    for job_id, records in step.moves.items():
        old, job = step.before.jobs.get(job_id), step.after.jobs.get(job_id)
        if job is None:
            continue
        expected = [0, 0, 0, 0, 0] if old is None else list(old[12:])
        for record in records:
            place = _COUNTER.get(record[5])
            if place is not None:
                expected[place - 12] += 1
        if list(job[12:]) != expected:
            raise Broken(
                f"job {job_id} has {_counters(job)}",
                f"{', '.join(map(str, expected))}, after {', '.join(str(record[5]) for record in records)}",
            )
    for old, job in step.changed:
        if job.id not in step.moves and old is not None and old[12:] != job[12:]:
            raise Broken(f"job {job.id} went from {_counters(old)} to {_counters(job)}", "no change, it did not move")
    return bool(step.records)


@clause("S6")
def totals_count_their_events(step: Step) -> bool:
    """The machine's total of jobs grows by one at each put, that of timeouts at each expired ttr; neither falls."""
    before, after = step.before, step.after
    puts = sum(record[4] == "new" for record in step.records)
    timeouts = sum(record[5] == "ttr-expired" for record in step.records)
    for name, old, new, events in (
        ("total_jobs", before.total_jobs, after.total_jobs, puts),
        ("job_timeouts", before.job_timeouts, after.job_timeouts, timeouts),
    ):
        if new - old != events:
            raise Broken(f"{name} went from {old} to {new}", f"{old + events}, after {events} such events")
    for name, count in before.commands.items():
        if after.commands.get(name, -1) < count:
            raise Broken(f"cmd-{name} went from {count} to {after.commands.get(name)}", f"{count} or more")
    return bool(puts or timeouts)


@clause("S33")
def puts_are_deletes_plus_live_jobs(step: Step) -> bool:
    """Every job that was put is live or was deleted."""
    puts = sum(record[4] == "new" for record in step.records)
    deletes = sum(record[6] == "deleted" for record in step.records)
    expected = len(step.before.jobs) + puts - deletes
    if len(step.after.jobs) != expected:
        raise Broken(
            f"{len(step.after.jobs)} live jobs", f"{expected}: {len(step.before.jobs)} + {puts} put - {deletes} deleted"
        )
    return bool(puts or deletes)


@clause("S25")
def what_was_put_stays(step: Step) -> bool:
    """A job's tube, body, ttr and instant of creation never change."""
    for old, job in step.changed:
        if old is not None and (
            old.tube != job.tube
            or old.body != job.body
            or old.ttr_seconds != job.ttr_seconds
            or old.created_at != job.created_at
        ):
            raise Broken(f"job {job.id} is now {job[1:3]}, ttr {job.ttr_seconds}, of {job.created_at}", f"{old}")
    return bool(step.before.jobs)


@clause("S17")
def priority_and_delay_change_by_release_and_bury_only(step: Step) -> bool:
    """Only release changes a job's delay, only release and bury its priority; a kick, a ttr, a close keep both."""
    for old, job in step.changed:
        if old is None:
            continue
        if old.priority != job.priority or old.delay_seconds != job.delay_seconds:
            triggers = [record[5] for record in step.moves.get(job.id, ())]
            released = "release" in triggers or "release-delayed" in triggers
            if not released and (old.delay_seconds != job.delay_seconds or "bury" not in triggers):
                raise Broken(
                    f"job {job.id} went from priority {old.priority}, delay {old.delay_seconds} to {job.priority}, "
                    f"{job.delay_seconds} by {[*map(str, triggers)]}",
                    "no change",
                )
    return bool(step.before.jobs)


@clause("S18")
def timers_and_owners_stand_still(step: Step) -> bool:
    """A job without a record keeps its owner, its expiry, its ready instant and its place among the buried."""
    before, after = step.before, step.after
    for old, job in step.changed:
        if old is not None and job.id not in step.moves and old[8:12] != job[8:12]:
            raise Broken(f"job {job.id} has {_timers(job)}", f"{_timers(old)}, as it did not move")
    if before.bury_numbers != after.bury_numbers:
        for job_id, number in before.bury_numbers.items():
            if job_id not in step.moves and after.bury_numbers.get(job_id) != number:
                raise Broken(
                    f"job {job_id} has the burial number {after.bury_numbers.get(job_id)}",
                    f"{number}, as it did not move",
                )
    return any(job_id not in step.moves for job_id in before.jobs)


@clause("S18")
def a_reservation_lasts_a_whole_ttr(step: Step) -> bool:
    """A job that is reserved or touched expires a whole ttr later, whatever was left before."""
    second = step.before.units_per_second
    looked = False
    for job_id, records in step.moves.items():
        record, job = records[-1], step.after.jobs.get(job_id)
        if record[6] == "reserved" and job is not None:
            looked = True
            expected = record[1] + job.ttr_seconds * second
            if job.expires_at != expected or job.reserved_by != record[7]:
                raise Broken(
                    f"job {job_id} expires at {job.expires_at}, held by {job.reserved_by!r}",
                    f"{expected}, by {record[7]!r}: {record[1]} and a ttr of {job.ttr_seconds} s",
                )
    return looked


@clause("S28")
def a_delay_lasts_as_long_as_said(step: Step) -> bool:
    """A job that becomes delayed is ready its whole delay later."""
    second = step.before.units_per_second
    looked = False
    for job_id, records in step.moves.items():
        record, job = records[-1], step.after.jobs.get(job_id)
        if record[6] == "delayed" and job is not None:
            looked = True
            expected = record[1] + job.delay_seconds * second
            if job.ready_at != expected:
                raise Broken(
                    f"job {job_id} is ready at {job.ready_at}",
                    f"{expected}: {record[1]} and a delay of {job.delay_seconds} s",
                )
    return looked


@clause("S12")
def burials_queue_up(step: Step) -> bool:
    """Each burial takes the next number, at its instant; nothing else uses one."""
    number = step.before.next_bury_number
    for record in step.records:
        if record[6] == "buried":
            job = step.after.jobs.get(record[2])
            if job is not None and step.moves[record[2]][-1] is record:
                found = (step.after.bury_numbers.get(record[2]), job.buried_at)
                if found != (number, record[1]):
                    raise Broken(f"job {record[2]} has the burial number and instant {found}", f"{(number, record[1])}")
            number += 1
    if step.after.next_bury_number != number:
        raise Broken(f"the next burial number is {step.after.next_bury_number}", f"{number}")
    return number > step.before.next_bury_number


def _counters(job: JobView) -> str:
    names = ("reserves", "timeouts", "releases", "buries", "kicks")
    return ", ".join(f"{count} {name}" for name, count in zip(names, job[12:], strict=True))


def _timers(job: JobView) -> str:
    return f"ready_at {job.ready_at}, expires_at {job.expires_at}, buried_at {job.buried_at}, owner {job.reserved_by!r}"


SPAN_RULES: Final[tuple[Rule[Step], ...]] = (
    time_never_goes_back,
    puts_are_deletes_plus_live_jobs,
    a_job_goes_by_delete_only,
    ids_strictly_increase,
    states_change_along_the_edges,
    counters_count_their_events,
    totals_count_their_events,
    what_was_put_stays,
    priority_and_delay_change_by_release_and_bury_only,
    timers_and_owners_stand_still,
    a_reservation_lasts_a_whole_ttr,
    a_delay_lasts_as_long_as_said,
    burials_queue_up,
)
"""What holds over any number of calls."""
