"""The invariants of a single call, as far as jobs, tubes and clients are concerned; those of waiting stand apart."""

from collections.abc import Iterable, Mapping
from typing import Final

from jsm.interface import TubeEntry
from jsm.job import JobView
from jsm.records import TransitionRecord
from models.invariants_rule import Broken, Rule, clause
from models.invariants_step import LOOKS, Step
from models.picture import differences

# The command whose counter an operation moves; "" for none.
_COMMAND: Final[Mapping[str, str]] = {
    "put": "put",
    "delete": "delete",
    "release": "release",
    "release_with": "release",
    "touch": "touch",
    "bury": "bury",
    "kick": "",
    "kick_n": "kick",
    "peek_ready_job": "peek-ready",
    "peek_delayed_job": "peek-delayed",
    "peek_buried_job": "peek-buried",
    "get_job": "peek",
    "pause_tube": "pause-tube",
    "use_tube": "use",
    "watch_tube": "watch",
    "ignore_tube": "ignore",
    "get_stats_job_as_yaml": "stats-job",
    "get_stats_tube_as_yaml": "stats-tube",
    "get_stats_as_yaml": "stats",
}
_UNDERSTOOD: Final = ("missing", "wrong-state", "unauthorized")  # refusals of commands that were understood
_CLOCKLESS: Final = ("count_command", "next_tick_at")


@clause("S26")
def a_refused_call_changes_nothing(step: Step) -> bool:
    """A refused call changes nothing, the clock included, but its command's counter."""
    if step.refused is None:
        return False
    _must_be_equal(step, apart_from=("commands",))
    return True


@clause("S31", *LOOKS)
def a_look_changes_nothing(step: Step) -> bool:
    """A look changes no job, tube or client; only the clock goes on."""
    _must_be_equal(step, apart_from=("commands", "clock", "next_tick_at"))
    return True


@clause("S27", "reload")
def a_restored_machine_is_the_same(step: Step) -> bool:
    """A machine that was restored from a snapshot is the one of which the snapshot was taken."""
    _must_be_equal(step, apart_from=())
    return True


@clause("S6")
def each_command_counts_once(step: Step) -> bool:
    """A command counts once when it is understood, refused or not, under its own name; nothing else counts."""
    op, refused = step.op, step.refused
    if op == "append_reservation":
        command = "reserve" if step.args.get("deadline_at") is None else "reserve-with-timeout"
    elif op == "count_command":
        command = str(step.args.get("name"))
    else:
        command = _COMMAND.get(op, "")
    before, after = step.before.commands, step.after.commands
    counted = after.get(command, 0) - before.get(command, 0)
    changed = [name for name, count in after.items() if count != before.get(name) and name != command]
    allowed: tuple[int, ...] = (1 if command else 0,)
    if refused is not None and refused not in _UNDERSTOOD:
        # A body that is too big, and the last watched tube, are bad values of commands that were understood.
        allowed = (0, 1) if op in ("put", "ignore_tube") and refused == "bad-value" else (0,)
    if counted not in allowed or changed:
        raise Broken(f"cmd-{command} grew by {counted}, others changed: {changed}", f"{allowed[-1]}, and no other")
    return bool(command)


@clause("S22")
def the_clock_is_the_calls(step: Step) -> bool:
    """An accepted call sets the clock to its `now`; without one, the clock stands still."""
    expected = step.before.clock if step.op in _CLOCKLESS else step.now
    if step.after.clock != expected:
        raise Broken(f"the clock is {step.after.clock}", f"{expected}")
    return expected != step.before.clock


@clause("S2")
def each_call_moves_what_it_may(step: Step) -> bool:
    """A call moves the jobs that it names, by its own trigger and for its own client, and no others."""
    op, args, records = step.op, step.args, step.records
    if op == "tick":
        phases = ("delay-elapsed", "ttr-expired", "reserve")
        order = [phases.index(record[5]) if record[5] in phases else -1 for record in records]
        if order != sorted(order) or (order and order[0] < 0):
            raise Broken(f"a tick moved jobs by {_triggers(records)}", "first by " + ", then ".join(phases))
        for record in records:
            owner = step.before.jobs[record[2]].reserved_by if record[2] in step.before.jobs else None
            if record[5] != "reserve" and record[7] != owner:
                raise Broken(f"job {record[2]} by {record[5]} for {record[7]!r}", f"{owner!r}")
        return bool(records)
    if op in ("append_reservation", "kick_n"):
        trigger = "reserve" if op == "append_reservation" else "kick"
        for record in records:
            if record[5] != trigger or (op == "kick_n" and record[7] is not None):
                raise Broken(f"{op} moved job {record[2]} by {record[5]} for {record[7]!r}", f"{trigger} only")
        return bool(records)
    expected = _expected_moves(step)
    who = None if op in ("put", "kick") else args.get("client_id")
    found = [(str(record[5]), record[2], record[7]) for record in records]
    wanted = [(trigger, job, who) for trigger, job in expected]
    if found != wanted:
        raise Broken(f"{op} moved {found}", f"{wanted}")
    return bool(wanted)


def _expected_moves(step: Step) -> list[tuple[str, int]]:
    """The triggers and jobs of a call that moves exactly what it names."""
    op, args = step.op, step.args
    job = args.get("job_id", 0)
    match op:
        case "put":
            return [("put-delayed" if args["delay_seconds"] else "put", step.before.next_job_id)]
        case "delete" | "release" | "touch" | "bury" | "kick":
            return [(op, job)]
        case "release_with":
            return [("release-delayed" if args["delay_seconds"] else "release", job)]
        case "reserve_job":
            return [("reserve-job", job)]
        case "close_client":
            held = [each.id for each in step.before.jobs.values() if each.reserved_by == args["client_id"]]
            return [("close", each) for each in sorted(held)]
    return []


@clause("S24 S25", "put")
def a_put_keeps_what_it_was_given(step: Step) -> bool:
    """A put makes one job with the next id and exactly the values that it was given, a ttr of 0 raised to 1."""
    args, job_id = step.args, step.before.next_job_id
    job = step.after.jobs.get(job_id)
    if step.value != job_id or job is None:
        raise Broken(f"put returned {step.value!r}", f"{job_id}, a live job")
    delay = args["delay_seconds"]
    ready_at = step.now + delay * step.before.units_per_second if delay else 0
    body, ttr = bytes(args["body"]), args["ttr_seconds"] or 1
    state = "delayed" if delay else "ready"
    expected = (job_id, args["tube"], body, args["priority"], delay, ttr, state, step.now, ready_at)
    if job != (*expected, 0, 0, None, 0, 0, 0, 0, 0):
        raise Broken(f"{job}", f"{expected}, all else 0")
    return True


@clause("S17", "release", "release_with", "bury")
def priority_and_delay_become_what_was_said(step: Step) -> bool:
    """A release sets the priority and delay that it was given, a bury its priority; one without values keeps both."""
    job_id, args = step.args["job_id"], step.args
    old, job = step.before.jobs.get(job_id), step.after.jobs.get(job_id)
    if old is None or job is None:
        return False  # other invariants say what is wrong then
    expected = (args.get("priority", old.priority), args.get("delay_seconds", old.delay_seconds))
    if (job.priority, job.delay_seconds) != expected:
        raise Broken(f"job {job_id} has priority and delay {(job.priority, job.delay_seconds)}", f"{expected}")
    return True


@clause("S13", "kick_n")
def a_kick_takes_buried_jobs_else_delayed(step: Step) -> bool:
    """`kick_n` takes at most n jobs of its tube alone: buried ones, and only if there are none delayed ones."""
    tube, n = step.args["tube"], step.args["n"]
    buried, delayed = _in_state(step, tube, "buried"), _in_state(step, tube, "delayed")
    takes = buried or delayed
    kicked = [record[2] for record in step.records]
    allowed = {job.id for job in takes}
    if len(kicked) != min(n, len(takes)) or not allowed.issuperset(kicked) or step.value != len(kicked):
        raise Broken(
            f"kick_n({tube!r}, {n}) kicked {kicked} and returned {step.value}",
            f"{min(n, len(takes))} of {[job.id for job in takes]}",
        )
    return bool(takes)


@clause("S12", "kick_n")
def buried_jobs_are_kicked_oldest_first(step: Step) -> bool:
    """`kick_n` takes the job that was buried first, whatever its priority and id."""
    numbers = step.before.bury_numbers
    buried = sorted(_in_state(step, step.args["tube"], "buried"), key=lambda job: numbers.get(job.id, 0))
    kicked = [record[2] for record in step.records if record[4] == "buried"]
    if kicked != [job.id for job in buried[: len(kicked)]]:
        raise Broken(f"kicked the buried jobs {kicked}", f"the first of {[job.id for job in buried]}")
    return bool(kicked)


@clause("S10", "kick_n", "tick")
def delayed_jobs_come_by_due_time(step: Step) -> bool:
    """A kick and a tick take delayed jobs in order of (ready instant, id)."""
    if step.op == "kick_n":
        of = _in_state(step, step.args["tube"], "delayed")
        moved = [record[2] for record in step.records if record[4] == "delayed"]
    else:
        of = [job for job in step.before.jobs.values() if job.state == "delayed"]
        moved = [record[2] for record in step.records if record[5] == "delay-elapsed"]
    order = [job.id for job in sorted(of, key=lambda job: (job.ready_at, job.id))]
    if moved != order[: len(moved)]:
        raise Broken(f"the delayed jobs {moved} became ready", f"the first of {order}")
    return bool(moved)


@clause("S7", "close_client")
def a_closed_client_holds_nothing(step: Step) -> bool:
    """A closed client is gone with its wait, its answer and its references, and holds no job."""
    client = step.args["client_id"]
    held = [job.id for job in step.after.jobs.values() if job.reserved_by == client]
    if held or client in step.after.clients:
        raise Broken(f"after its close {client!r} holds {held}, known: {client in step.after.clients}", "nothing")
    for job in step.before.jobs.values():
        if job.reserved_by == client and (job.id not in step.after.jobs or step.after.jobs[job.id].state != "ready"):
            raise Broken(f"job {job.id} of the closed {client!r} is not ready", "ready")
    return client in step.before.clients


@clause("S7")
def clients_come_and_go_by_their_calls(step: Step) -> bool:
    """A client exists from its first use, watch, ask or reserve until its close; no other call makes or ends one."""
    before, after = step.before.clients, step.after.clients
    client = step.args.get("client_id")
    expected = dict.fromkeys(before)
    if step.op in ("use_tube", "watch_tube", "append_reservation", "reserve_job"):
        expected[client] = None  # type: ignore[index]  # these have one
    elif step.op == "close_client":
        expected.pop(client, None)  # type: ignore[arg-type]
    if expected.keys() != after.keys():
        raise Broken(f"the clients are {sorted(after)}", f"{sorted(expected)}")
    return expected.keys() != before.keys()


@clause("S30")
def references_change_by_their_commands(step: Step) -> bool:
    """Use moves a client's one use, watch adds a tube once, ignore takes it away; nothing else changes a reference."""
    op, args = step.op, step.args
    for client_id, client in step.after.clients.items():
        old = step.before.clients.get(client_id)
        uses, watches = (None, ()) if old is None else (old.uses, old.watches)
        if client_id == args.get("client_id"):
            tube = args.get("tube")
            if op == "use_tube":
                uses = tube
            elif op == "watch_tube" and tube not in watches:
                watches = (*watches, tube)  # type: ignore[arg-type]
            elif op == "ignore_tube":
                watches = tuple(name for name in watches if name != tube)
        if (client.uses, client.watches) != (uses, watches):
            raise Broken(f"client {client_id!r} uses {client.uses!r}, watches {client.watches}", f"{uses!r}, {watches}")
    return op in ("use_tube", "watch_tube", "ignore_tube")


@clause("S29")
def a_pause_lasts_as_asked(step: Step) -> bool:
    """A pause runs as long as asked from its call on, replaces a running one, and ends by a tick at its end alone."""
    looked = False
    for name, tube in step.after.tubes.items():
        old = step.before.tubes.get(name)
        seconds, ends_at = (0, None) if old is None else (old.pause_seconds, old.pause_ends_at)
        if step.op == "pause_tube" and name == step.args["tube"]:
            seconds = step.args["seconds"]
            ends_at = step.now + seconds * step.before.units_per_second
        elif step.op == "tick" and ends_at is not None and ends_at <= step.now:
            seconds, ends_at = 0, None
        elif step.op == "append_reservation" and tube.pause_ends_at is None and not _kept(step, name):
            continue  # it vanished with its pause when its last waiter was served, and was made again
        looked = looked or ends_at is not None
        if (tube.pause_seconds, tube.pause_ends_at) != (seconds, ends_at):
            raise Broken(
                f"tube {name!r} is paused {tube.pause_seconds} s until {tube.pause_ends_at}", f"{seconds} s, {ends_at}"
            )
    return looked


@clause("S19")
def a_new_tube_starts_afresh(step: Step) -> bool:
    """A tube that is made, or made again after it vanished, has no pause and counts nothing from before."""
    looked = False
    for name, tube in step.after.tubes.items():
        if name not in step.before.tubes:
            looked = True
            puts = sum(record[4] == "new" for record in step.records)
            if tube != TubeEntry(tube.name, total_jobs=puts):
                raise Broken(f"a new tube is {tube}", "one without pause and counts")
    return looked


@clause("S6")
def tube_counters_count_their_events(step: Step) -> bool:
    """A tube's puts, deletes and pauses each add one to its counter, and nothing else does."""
    for name, tube in step.after.tubes.items():
        old = step.before.tubes.get(name)
        if old is None or (step.op == "append_reservation" and not _kept(step, name)):
            continue
        puts = sum(record[4] == "new" and record[3] == name for record in step.records)
        deletes = sum(record[5] == "delete" and record[3] == name for record in step.records)
        pauses = int(step.op == "pause_tube" and step.args["tube"] == name)
        expected = (old.total_jobs + puts, old.deletes + deletes, old.pauses + pauses)
        if (tube.total_jobs, tube.deletes, tube.pauses) != expected:
            raise Broken(
                f"tube {name!r} counts {tube.total_jobs} jobs, {tube.deletes} deletes, {tube.pauses} pauses",
                f"{expected}",
            )
    return step.op in ("put", "delete", "pause_tube")


@clause("L6")
def a_step_moves_a_job_at_most_twice(step: Step) -> bool:
    """Every call ends: it moves no job more than twice (to ready, and to the client that it is matched with)."""
    limit = 2 if step.op == "tick" else 1
    for job_id, records in step.moves.items():
        if len(records) > limit:
            raise Broken(f"job {job_id} moved by {_triggers(records)} in one {step.op}", f"at most {limit} moves")
    return bool(step.moves)


def _kept(step: Step, tube: str) -> bool:
    """Whether something other than a wait held the tube all the time."""
    if tube == "default" or any(job.tube == tube for job in step.before.jobs.values()):
        return True
    return any(client.uses == tube or tube in client.watches for client in step.before.clients.values())


def _in_state(step: Step, tube: str, state: str) -> list[JobView]:
    return [job for job in step.before.jobs.values() if job.state == state and job.tube == tube]


def _triggers(records: Iterable[TransitionRecord]) -> str:
    return ", ".join(str(record[5]) for record in records)


def _must_be_equal(step: Step, *, apart_from: tuple[str, ...]) -> None:
    if step.records:
        raise Broken(f"record {step.records[0]}", "none")
    for field, old, new in differences(step.before, step.after, apart_from=apart_from):
        raise Broken(f"{field} went from {old!r} to {new!r}", "no change")


CALL_RULES: Final[tuple[Rule[Step], ...]] = (
    the_clock_is_the_calls,
    each_command_counts_once,
    a_put_keeps_what_it_was_given,
    a_look_changes_nothing,
    a_kick_takes_buried_jobs_else_delayed,
    buried_jobs_are_kicked_oldest_first,
    delayed_jobs_come_by_due_time,
    a_step_moves_a_job_at_most_twice,
    a_closed_client_holds_nothing,
    each_call_moves_what_it_may,
    priority_and_delay_become_what_was_said,
    clients_come_and_go_by_their_calls,
    references_change_by_their_commands,
    a_pause_lasts_as_asked,
    a_new_tube_starts_afresh,
    tube_counters_count_their_events,
)
"""What holds of a call that was accepted."""
