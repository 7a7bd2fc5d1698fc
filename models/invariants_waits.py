"""The invariants of reservations: who is served, in which order, and that everybody is answered exactly once."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from jsm.job import JobView
from models.invariants_rule import Broken, Rule, clause
from models.invariants_state import is_paused, pairs, soonest_expiries
from models.invariants_step import DEADLINE_SOON, MATCHED, QUEUED, TIMEOUT, Step, Told
from models.picture import Picture


class Serving(NamedTuple):
    """One match: the job and the client that came together, and who should have."""

    job: JobView
    client: str | None
    best: JobView | None  # of all ready jobs that somebody could have had
    first: str | None  # who asked first of those that wait on the job's tube
    was_paused: bool


def servings(step: Step) -> list[Serving]:
    """Every match of a tick or an ask, beside what a recount of the ready jobs and the waiting clients says."""
    if step.matches is None:
        step.matches = list(_served(step))
    return step.matches


def _served(step: Step) -> Iterator[Serving]:
    before = step.before
    matches = [record for record in step.records if record[5] == "reserve"]
    if not matches:
        return
    is_tick = step.op == "tick"
    moved = {record[2] for record in step.records if record[6] == "ready"}  # for membership only
    ready: dict[int, JobView] = {job.id: job for job in before.jobs.values() if job.state == "ready" or job.id in moved}
    paused: dict[str, bool] = {
        tube.name: True
        for tube in before.tubes.values()
        if tube.pause_ends_at is not None and not (is_tick and tube.pause_ends_at <= step.now)
    }
    waits: list[tuple[str, Sequence[str]]] = [(wait.client_id, wait.watched_tubes) for wait in before.waiting]
    caller = [] if is_tick else [(str(step.args["client_id"]), list(step.args["tubes"]))]
    for record in matches:
        job = ready.get(record[2])
        if job is None:
            raise Broken(f"job {record[2]} was matched with {record[7]!r}", "a ready job")
        best = _best(ready, waits, paused) or _best(ready, caller, paused)
        asking = waits if _best(ready, waits, paused) is not None else caller
        first = next((client for client, tubes in asking if job.tube in tubes), None)
        yield Serving(job, record[7], best, first, job.tube in paused)
        del ready[job.id]
        waits = [wait for wait in waits if wait[0] != record[7]]


def _best(
    ready: dict[int, JobView], asking: Sequence[tuple[str, Sequence[str]]], paused: dict[str, bool]
) -> JobView | None:
    """The ready job with the lowest (priority, id) that one of the clients could have."""
    tubes = [tube for _, watched in asking for tube in watched if tube not in paused]
    jobs = [job for job in ready.values() if job.tube in tubes]
    return min(jobs, key=lambda job: (job.priority, job.id), default=None)


@clause("S29", "tick", "append_reservation")
def a_paused_tube_gives_no_job(step: Step) -> bool:
    """No job of a paused tube is matched with a client."""
    for serving in servings(step):
        if serving.was_paused:
            raise Broken(f"{serving.client!r} got job {serving.job.id} of {serving.job.tube!r}, paused", "no job")
    return any(is_paused(step.after, tube) for tube in step.after.tubes)


@clause("S9", "tick", "append_reservation")
def the_best_ready_job_goes_first(step: Step) -> bool:
    """A reserve gives the lowest (priority, id) of the ready jobs in all watched, unpaused tubes."""
    looked = False
    for serving in servings(step):
        looked = True
        job, best = serving.job, serving.best
        if best is not None and job.id != best.id:
            raise Broken(
                f"{serving.client!r} got job {job.id} of {job.tube!r} with priority {job.priority}",
                f"job {best.id} of {best.tube!r} with priority {best.priority}",
            )
    return looked


@clause("SPEC 4", "tick", "append_reservation")
def waiters_are_served_in_order_of_asking(step: Step) -> bool:
    """Of the clients that wait on a job's tube, the one that asked first gets it, and nobody overtakes."""
    looked = False
    for serving in servings(step):
        looked = True
        if serving.client != serving.first:
            raise Broken(
                f"job {serving.job.id} of {serving.job.tube!r} went to {serving.client!r}",
                f"{serving.first!r}, which asked first",
            )
    return looked


@clause("S8")
def every_reservation_is_announced(step: Step) -> bool:
    """Each reserved job is announced to one client, once: in an answer, or owed until the next tick."""
    op = step.op
    owed = [_pair(step, answer) for answer in step.before.owed]
    still_owed = [_pair(step, answer) for answer in step.after.owed]
    told = [(each.client, each.job) for each in step.told if each.status == MATCHED]
    reserved = [(record[7], record[2]) for record in step.records if record[5] == "reserve"]
    expected: list[tuple[str | None, int]] = []
    if op == "tick":
        expected = [*owed, *reserved]
        owed = []
    elif op == "append_reservation":
        expected = reserved[len(reserved) - len(told) :]
        owed = [*owed, *reserved[: len(reserved) - len(told)]]  # type: ignore[list-item]  # a record of it names one
        if any(each.client != step.args["client_id"] for each in step.told):
            raise Broken(f"the caller was told {step.told}", f"an answer to {step.args['client_id']!r}")
    elif op == "reserve_job":
        expected = [(step.args["client_id"], step.args["job_id"])]
    elif op == "close_client":
        owed = [pair for pair in owed if pair[0] != step.args["client_id"]]
    if told != expected:
        raise Broken(f"announced were (client, job) {told}", f"{expected}")
    if still_owed != owed:
        raise Broken(f"owed are (client, job) {still_owed}", f"{owed}")
    for each in step.told:
        _check_body(step, each)
    return bool(expected or owed)


def _pair(step: Step, answer: object) -> tuple[str, int]:
    assert isinstance(answer, tuple)  # a reservation is one
    return answer[1], answer[3]


def _check_body(step: Step, told: Told) -> None:
    if told.status != MATCHED:
        if told.job or told.body:
            raise Broken(f"{told.status} came with job {told.job}", "no job")
        return
    job = step.after.jobs.get(told.job) or step.before.jobs.get(told.job)
    if job is not None and told.body is not None and told.body != job.body:
        raise Broken(f"job {told.job} was announced with the body {told.body!r}", f"{job.body!r}")


@clause("S20")
def each_wait_gets_one_answer(step: Step) -> bool:
    """A wait ends by one answer to it, by cancel or by close; until then it stays as it was asked, in its place."""
    before, op, args = step.before, step.op, step.args
    asked: dict[str, str] = {wait.client_id: wait.request_id for wait in before.waiting}
    ended: list[str] = []
    if op == "tick":
        ended = [each.client for each in step.told]
        asked_or_owed = asked | {str(answer.client_id): answer.request_id for answer in before.owed}
        for each in step.told:
            if ended.count(each.client) != 1 or asked_or_owed.get(each.client) != each.request_id:
                raise Broken(f"{each} was told, {ended.count(each.client)} times", f"one answer of {asked_or_owed}")
    elif op == "append_reservation":
        ended = [answer.client_id for answer in step.after.owed]
        for answer in step.after.owed[len(before.owed) :]:
            if asked.get(answer.client_id) != answer.request_id:
                raise Broken(f"{answer} is owed", f"an answer to one of {asked}")
        if len(step.told) != 1 or step.told[0].request_id != args["request_id"]:
            raise Broken(f"the ask {args['request_id']!r} was answered by {step.told}", "one answer to it")
    elif op in ("cancel_reservation", "close_client"):
        ended = [args["client_id"]]
    expected = [
        (wait.client_id, wait.request_id, wait.watched_tubes, wait.deadline_at)
        for wait in before.waiting
        if wait.client_id not in ended
    ]
    if op == "append_reservation" and step.told[0].status == QUEUED:
        tubes = tuple(dict.fromkeys(args["tubes"]))
        expected.append((args["client_id"], args["request_id"], tubes, args["deadline_at"]))
    found = [(wait.client_id, wait.request_id, wait.watched_tubes, wait.deadline_at) for wait in step.after.waiting]
    if found != expected:
        raise Broken(f"waiting are {found}", f"{expected}")
    return bool(before.waiting or before.owed or step.told)


@clause("S20", "append_reservation")
def zero_never_blocks(step: Step) -> bool:
    """An ask whose deadline is now is answered at once."""
    if step.args["deadline_at"] != step.now:
        return False
    if step.told[0].status == QUEUED:
        raise Broken(f"the ask of {step.told[0].client!r} with the deadline {step.now} waits", "an answer at once")
    return True


@clause("L4", "append_reservation")
def a_ready_job_is_given_at_once(step: Step) -> bool:
    """An ask is matched whenever an unpaused tube of its watch list has a ready job, whatever the client holds."""
    told, after = step.told[0], step.after
    if told.status != MATCHED:
        for job in after.jobs.values():
            if job.state == "ready" and job.tube in step.args["tubes"] and not is_paused(after, job.tube):
                raise Broken(f"{told.client!r} was told {told.status}", f"the ready job {job.id} of {job.tube!r}")
    return True


@clause("S21", "tick", "append_reservation")
def deadline_soon_only_in_the_margin(step: Step) -> bool:
    """DeadlineSoon comes exactly to who asks or waits, gets no job, and holds one with a second or less to live."""
    after = step.after
    soonest = soonest_expiries(after)
    margin = step.now + after.units_per_second
    watched: dict[str, Sequence[str]] = {wait.client_id: wait.watched_tubes for wait in step.before.waiting}
    if step.op == "append_reservation":
        watched[step.args["client_id"]] = step.args["tubes"]
    looked = False
    for told in step.told:
        expiry = soonest.get(told.client)
        if told.status == DEADLINE_SOON:
            looked = True
            if expiry is None or expiry > margin:
                raise Broken(f"{told.client!r} was told deadline-soon, a job of it expires at {expiry}", f"<= {margin}")
            for job in after.jobs.values():
                if job.state == "ready" and job.tube in watched[told.client] and not is_paused(after, job.tube):
                    raise Broken(f"{told.client!r} was told deadline-soon", f"the ready job {job.id}")
        elif told.status in (QUEUED, TIMEOUT) and expiry is not None:
            looked = True
            if expiry <= margin:
                raise Broken(f"{told.client!r} was told {told.status}", f"deadline-soon: a job expires at {expiry}")
    if step.op == "tick":
        for wait in after.waiting:
            expiry = soonest.get(wait.client_id)
            if expiry is not None and expiry <= margin:
                raise Broken(f"{wait.client_id!r} waits on", f"deadline-soon: a job expires at {expiry}")
    return looked


@clause("S20", "tick", "append_reservation")
def a_timeout_comes_at_its_deadline(step: Step) -> bool:
    """Timeout comes to a client whose deadline is reached, and to no other."""
    deadlines: dict[str, int | None] = {wait.client_id: wait.deadline_at for wait in step.before.waiting}
    if step.op == "append_reservation":
        deadlines[step.args["client_id"]] = step.args["deadline_at"]
    looked = False
    for told in step.told:
        if told.status == TIMEOUT:
            looked = True
            deadline_at = deadlines.get(told.client)
            if deadline_at is None or deadline_at > step.now:
                raise Broken(f"{told.client!r}, with the deadline {deadline_at}, was told timeout", f"<= {step.now}")
    return looked


@clause("SPEC 5", "tick")
def answers_come_in_order(step: Step) -> bool:
    """A tick answers the owed, the matched, the warned by (expiry, asking), the late by (deadline, asking)."""
    if not step.told:
        return False
    asking: dict[str, int] = {wait.client_id: place for place, wait in enumerate(step.before.waiting)}
    deadlines: dict[str, int] = {wait.client_id: wait.deadline_at or 0 for wait in step.before.waiting}
    soonest = soonest_expiries(step.after)
    phases = (MATCHED, DEADLINE_SOON, TIMEOUT)
    keys = []
    for told in step.told:
        phase = phases.index(told.status) if told.status in phases else len(phases)
        by = soonest if told.status == DEADLINE_SOON else deadlines if told.status == TIMEOUT else {}
        place = asking.get(told.client, 0) if by else 0  # the matched are compared with their records
        keys.append((phase, by.get(told.client, 0), place))
    if keys != sorted(keys) or keys[-1][0] == len(phases):
        raise Broken(
            f"told were {[(told.client, told.status) for told in step.told]}",
            "matched, deadline-soon by (expiry, asking), timeout by (deadline, asking)",
        )
    return len(keys) > 1


# ---------------------------------------------------------------------- after a tick


@clause("S22", "tick")
def nothing_moves_before_its_time(step: Step) -> bool:
    """A tick ends no delay and no ttr before its instant, and expires jobs in order of (expiry, id)."""
    expired = []
    for record in step.records:
        job = step.before.jobs.get(record[2])
        if job is None or record[5] not in ("delay-elapsed", "ttr-expired"):
            continue
        due_at = job.ready_at if record[5] == "delay-elapsed" else job.expires_at
        if due_at > step.now:
            raise Broken(f"job {job.id} moved by {record[5]}", f"nothing before {due_at}")
        if record[5] == "ttr-expired":
            expired.append((due_at, job.id))
    if expired != sorted(expired):
        raise Broken(f"the jobs expired in the order (expiry, id) {expired}", f"{sorted(expired)}")
    return bool(step.records)


@clause("L1 S14", "tick")
def an_expired_job_leaves_its_owner(step: Step) -> bool:
    """After a tick no job is reserved whose ttr is over, whether its owner speaks or not."""
    for job in step.after.jobs.values():
        if job.state == "reserved" and job.expires_at <= step.now:
            raise Broken(f"job {job.id} is still reserved, its ttr was over at {job.expires_at}", "no longer")
    return any(job.state == "reserved" and job.expires_at <= step.now for job in step.before.jobs.values())


@clause("L2", "tick")
def an_elapsed_delay_ends(step: Step) -> bool:
    """After a tick no job is delayed whose delay is over."""
    for job in step.after.jobs.values():
        if job.state == "delayed" and job.ready_at <= step.now:
            raise Broken(f"job {job.id} is still delayed, its delay was over at {job.ready_at}", "no longer")
    return any(job.state == "delayed" and job.ready_at <= step.now for job in step.before.jobs.values())


@clause("L3", "tick")
def a_wait_ends_by_its_deadline(step: Step) -> bool:
    """After a tick nobody waits whose deadline is reached."""
    for wait in step.after.waiting:
        if wait.deadline_at is not None and wait.deadline_at <= step.now:
            raise Broken(f"{wait.client_id!r} still waits, with the deadline {wait.deadline_at}", "an answer")
    return any(wait.deadline_at is not None and wait.deadline_at <= step.now for wait in step.before.waiting)


@clause("L5", "tick")
def an_ended_pause_lets_go(step: Step) -> bool:
    """After a tick no tube is paused whose pause is over."""
    for tube in step.after.tubes.values():
        if tube.pause_ends_at is not None and tube.pause_ends_at <= step.now:
            raise Broken(f"tube {tube.name!r} is still paused, until {tube.pause_ends_at}", "no longer")
    return any(tube.pause_ends_at is not None and tube.pause_ends_at <= step.now for tube in step.before.tubes.values())


@clause("L4 SPEC 4", "tick", "append_reservation")
def no_ready_job_beside_its_waiter(step: Step) -> bool:
    """After a tick or an append no client waits on an unpaused tube that has a ready job: no wake-up is lost."""
    for client, job in pairs(step.after):
        raise Broken(f"{client!r} waits on {job.tube!r} beside the ready job {job.id}", "that it gets the job")
    return bool(step.before.waiting)


@clause("SPEC 5", "tick")
def a_second_tick_does_nothing(step: Step) -> bool:
    """A tick when nothing is due does nothing, and after a tick nothing is due any more."""
    before, after = step.before, step.after
    if after.next_tick_at is not None and after.next_tick_at <= step.now:
        raise Broken(f"after a tick the next one is due at {after.next_tick_at}", f"later than {step.now}, or never")
    if before.next_tick_at is not None and before.next_tick_at <= step.now:
        return False
    if step.told or step.records or _without_clock(before) != _without_clock(after):
        raise Broken(f"a tick before {before.next_tick_at} gave {step.told}, records {list(step.records)}", "no effect")
    return True


def _without_clock(picture: Picture) -> Picture:
    return picture._replace(clock=0)


WAIT_RULES: Final[tuple[Rule[Step], ...]] = (
    an_expired_job_leaves_its_owner,
    an_elapsed_delay_ends,
    an_ended_pause_lets_go,
    nothing_moves_before_its_time,
    zero_never_blocks,
    a_ready_job_is_given_at_once,
    a_paused_tube_gives_no_job,
    waiters_are_served_in_order_of_asking,
    the_best_ready_job_goes_first,
    no_ready_job_beside_its_waiter,
    deadline_soon_only_in_the_margin,
    a_timeout_comes_at_its_deadline,
    a_wait_ends_by_its_deadline,
    answers_come_in_order,
    each_wait_gets_one_answer,
    every_reservation_is_announced,
    a_second_tick_does_nothing,
)
"""What holds of who is served, answered and warned by an accepted call."""
