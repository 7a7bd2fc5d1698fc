"""The invariants of one picture: what holds between any two calls, by recount."""

from collections.abc import Iterator

from jsm.job import JobView
from models.invariants_rule import LIVE, UINT32_MAX, Broken, Rule, clause
from models.picture import Picture

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+/;.$_()")  # for membership only


def is_tube_name(name: object) -> bool:
    """Whether it is 1 to 200 of the letters that a tube's name may have, the first no hyphen."""
    return type(name) is str and 0 < len(name) <= 200 and name[0] != "-" and _LETTERS.issuperset(name)


def soonest_expiries(picture: Picture) -> dict[str, int]:
    """By client that holds a job: when the first of its jobs expires."""
    soonest: dict[str, int] = {}
    for job in picture.jobs.values():
        owner = job.reserved_by
        if owner is not None and job.state == "reserved":
            known = soonest.get(owner)
            if known is None or job.expires_at < known:
                soonest[owner] = job.expires_at
    return soonest


def pairs(picture: Picture) -> Iterator[tuple[str, JobView]]:
    """Every waiting client with every ready job of an unpaused tube that it waits on."""
    if not picture.waiting:
        return
    for job in picture.jobs.values():
        if job.state == "ready" and not is_paused(picture, job.tube):
            for wait in picture.waiting:
                if job.tube in wait.watched_tubes:
                    yield wait.client_id, job


def is_paused(picture: Picture, tube: str) -> bool:
    """Whether a pause of the tube runs."""
    entry = picture.tubes.get(tube)
    return entry is not None and entry.pause_ends_at is not None


@clause("S1")
def each_job_in_exactly_one_container(picture: Picture) -> bool:
    """Each live job is in exactly one container, that of its state, in its own tube."""
    recount = {tube: dict.fromkeys(LIVE, 0) for tube in picture.tubes}
    for job in picture.jobs.values():
        row = recount.get(job.tube)
        if row is None:
            raise Broken(f"job {job.id} is in tube {job.tube!r}, which does not exist", "a tube of the machine")
        if job.state in row:
            row[job.state] += 1
    for tube, row in recount.items():
        if picture.counts_by_tube[tube] != row:
            raise Broken(
                f"tube {tube!r} counts {_counts(picture.counts_by_tube[tube])}",
                f"{_counts(row)}, as its jobs' states are",
            )
    total = {state: sum(row[state] for row in recount.values()) for state in LIVE}
    if picture.counts != total:
        raise Broken(f"the machine counts {_counts(picture.counts)}", f"{_counts(total)}, as the jobs' states are")
    found = (len(picture.jobs), len(picture.clients))
    if not picture.declared == picture.streamed == found:
        raise Broken(
            f"the snapshot declares {picture.declared} jobs and clients and gives {picture.streamed}, "
            f"{found} of them different",
            "three times the same",
        )
    return bool(picture.jobs)


@clause("S2")
def each_job_is_in_a_live_state(picture: Picture) -> bool:
    """A job is ready, delayed, reserved or buried, and has the instant of its state and no other."""
    for job in picture.jobs.values():
        state = job.state
        if state not in LIVE:
            raise Broken(f"job {job.id} is {state}", "ready, delayed, reserved or buried")
        if (
            (job.ready_at > 0) != (state == "delayed")
            or (job.expires_at > 0) != (state == "reserved")
            or (job.buried_at != 0 and state != "buried")
        ):
            raise Broken(
                f"job {job.id}, {state}, has ready_at = {job.ready_at}, expires_at = {job.expires_at}, "
                f"buried_at = {job.buried_at}",
                "0 for each but the one of its state",
            )
    return bool(picture.jobs)


@clause("S3")
def ids_lie_below_the_next_one(picture: Picture) -> bool:
    """Every id was given by a put: it is 1 or more, below the next one, and no job has another's."""
    last = 0
    for key, job in picture.jobs.items():
        if job.id != key or not last < key < picture.next_job_id:
            raise Broken(f"job {job.id} after job {last}", f"ids that rise, from 1 to {picture.next_job_id - 1}")
        last = key
    return bool(picture.jobs)


@clause("S5")
def reserved_means_owned(picture: Picture) -> bool:
    """A job is reserved exactly while it has an owner, and its owner is connected."""
    for job in picture.jobs.values():
        owner = job.reserved_by
        if (job.state == "reserved") != (owner is not None):
            raise Broken(f"job {job.id} is {job.state} with the owner {owner!r}", "an owner exactly when reserved")
        if owner is not None and owner not in picture.clients:
            raise Broken(f"job {job.id} is reserved by {owner!r}, which is no client", "a connected client")
    return bool(picture.jobs)


@clause("S12")
def burials_are_numbered_in_order(picture: Picture) -> bool:
    """Each buried job, and no other, has a number of its own; numbers and instants of burials rise together."""
    numbered = sorted((number, job) for job, number in picture.bury_numbers.items())
    last = 0
    at = 0
    for number, job_id in numbered:
        job = picture.jobs.get(job_id)
        if job is None or job.state != "buried":
            raise Broken(f"job {job_id} has the burial number {number} and is not buried", "none")
        if not last < number < picture.next_bury_number:
            raise Broken(
                f"job {job_id} has the burial number {number} after {last}",
                f"different ones below {picture.next_bury_number}",
            )
        if job.buried_at < at:
            raise Broken(f"job {job_id}, burial {number}, was buried at {job.buried_at}", f"{at} or later")
        last, at = number, job.buried_at
    for job in picture.jobs.values():
        if job.state == "buried" and job.id not in picture.bury_numbers:
            raise Broken(f"job {job.id} is buried without a number", "a place in the order of burials")
    return bool(numbered)


@clause("S14")
def no_time_left_exceeds_its_length(picture: Picture) -> bool:
    """A reserved job expires within its ttr from now, a delayed one is ready within its delay; so with a pause."""
    second, clock = picture.units_per_second, picture.clock
    looked = False
    for job in picture.jobs.values():
        if job.state == "reserved":
            left, length = job.expires_at - clock, job.ttr_seconds * second
        elif job.state == "delayed":
            left, length = job.ready_at - clock, job.delay_seconds * second
        else:
            continue
        looked = True
        if left > length:
            raise Broken(f"job {job.id}, {job.state}, has {left} units left", f"at most {length}")
    for tube in picture.tubes.values():
        if tube.pause_ends_at is not None:
            looked = True
            if tube.pause_ends_at - clock > tube.pause_seconds * second:
                raise Broken(
                    f"tube {tube.name!r} is paused until {tube.pause_ends_at}",
                    f"at most {tube.pause_seconds} s from {clock}",
                )
        elif tube.pause_seconds:
            raise Broken(f"tube {tube.name!r}, not paused, has a pause of {tube.pause_seconds} s", "0")
    return looked


@clause("S19")
def a_tube_exists_while_it_is_held(picture: Picture) -> bool:
    """A tube exists exactly while it holds a job or a client uses, watches or waits on it; `default` always, first."""
    held = {"default": True}
    for job in picture.jobs.values():
        held[job.tube] = True
    for client in picture.clients.values():
        if client.uses is not None:
            held[client.uses] = True
        for tube in client.watches:
            held[tube] = True
        for tube in client.watched_tubes:
            held[tube] = True
    names = list(picture.tubes)
    if held.keys() != picture.tubes.keys():
        missing = [name for name in held if name not in picture.tubes]
        idle = [name for name in names if name not in held]
        raise Broken(f"missing tubes {missing}, tubes that nothing holds {idle}", "neither")
    if list(picture.tube_names) != names or names[0] != "default":
        raise Broken(f"tubes listed as {list(picture.tube_names)}", f"'default', then {names[1:]}")
    return len(names) > 1


@clause("S20")
def nobody_waits_twice(picture: Picture) -> bool:
    """A client waits for one answer at most, and not while it is owed one; what it is owed is a job."""
    for client_id, client in picture.clients.items():
        if client.is_waiting and client.owed is not None:
            raise Broken(f"client {client_id!r} waits and is owed job {client.owed.job_id}", "one or the other")
        if not client.is_waiting and (client.watched_tubes or client.deadline_at is not None):
            raise Broken(f"client {client_id!r} does not wait and keeps a watch list or a deadline", "neither")
    for answer in picture.owed:
        owed = picture.clients.get(answer.client_id)
        if owed is None or owed.owed != answer or answer.status != 3 or not answer.job_id:
            raise Broken(f"{answer} is owed", "a matched job for a client that is owed it")
    return bool(picture.waiting or picture.owed)


@clause("S22")
def no_past_event_lies_ahead(picture: Picture) -> bool:
    """No job was created or buried later than now, nor buried before it was created."""
    clock = picture.clock
    for job in picture.jobs.values():
        if not 0 <= job.created_at <= clock or (job.state == "buried" and not job.created_at <= job.buried_at <= clock):
            raise Broken(
                f"job {job.id} was created at {job.created_at}, buried at {job.buried_at}", f"no instant after {clock}"
            )
    return bool(picture.jobs)


@clause("S23")
def tube_names_are_legal(picture: Picture) -> bool:
    """A tube's name is 1 to 200 of the letters `A-Za-z0-9-+/;.$_()`, the first no hyphen."""
    for name in picture.tubes:
        if not is_tube_name(name):
            raise Broken(f"a tube is named {name!r}", "a legal name")
    return len(picture.tubes) > 1


@clause("S24")
def numbers_are_within_their_limits(picture: Picture) -> bool:
    """Priority and delay lie in 0 … 2^32-1, a ttr in 1 … 2^32-1; no counter is negative."""
    for job in picture.jobs.values():
        if not (
            0 <= job.priority <= UINT32_MAX
            and 0 <= job.delay_seconds <= UINT32_MAX
            and 1 <= job.ttr_seconds <= UINT32_MAX
            and min(job[12:]) >= 0
        ):
            raise Broken(
                f"job {job.id} has priority {job.priority}, delay {job.delay_seconds} s, ttr {job.ttr_seconds} s, "
                f"counters {job[12:]}",
                "numbers from 0 (of a ttr from 1) to 4294967295, counters from 0",
            )
    return bool(picture.jobs)


@clause("S25")
def no_body_exceeds_the_limit(picture: Picture) -> bool:
    """A body is bytes, at most `max_job_size` of them."""
    for job in picture.jobs.values():
        if type(job.body) is not bytes or len(job.body) > picture.max_job_size:
            raise Broken(f"job {job.id} has a body of {len(job.body)} bytes", f"at most {picture.max_job_size}")
    return bool(picture.jobs)


@clause("S30")
def watch_lists_name_each_tube_once(picture: Picture) -> bool:
    """A waiting client's watch list is not empty, and no list names a tube twice."""
    for client in picture.clients.values():
        if client.is_waiting and not client.watched_tubes:
            raise Broken(f"client {client.client_id!r} waits on no tube", "at least one")
        for names in (client.watches, client.watched_tubes):
            if len(names) > 1 and len(dict.fromkeys(names)) < len(names):
                raise Broken(f"client {client.client_id!r} lists {names}", "each tube once")
    return bool(picture.clients)


@clause("L3")
def each_wait_knows_its_instant(picture: Picture) -> bool:
    """A waiting client is answered at its deadline or a second before the first of its jobs expires, the sooner."""
    if not picture.waiting:
        return False
    soonest = soonest_expiries(picture)
    for wait in picture.waiting:
        expiry = soonest.get(wait.client_id)
        instants = [] if wait.deadline_at is None else [wait.deadline_at]
        if expiry is not None:
            instants.append(expiry - picture.units_per_second)
        if wait.tick_at != min(instants, default=None):
            raise Broken(
                f"client {wait.client_id!r} is to be answered at {wait.tick_at}", f"one of {instants}, the least"
            )
    return True


@clause("L1 L2 L3 L4 L5")
def next_tick_at_names_the_soonest_timer(picture: Picture) -> bool:
    """`next_tick_at` is the soonest of all delays, ttrs, pauses, deadlines and margins; now, if anything is due."""
    second = picture.units_per_second
    dues: list[tuple[int, str, object]] = []
    for job in picture.jobs.values():
        if job.state == "delayed":
            dues.append((job.ready_at, "the delay of job", job.id))
        elif job.state == "reserved":
            dues.append((job.expires_at, "the ttr of job", job.id))
    for tube in picture.tubes.values():
        if tube.pause_ends_at is not None:
            dues.append((tube.pause_ends_at, "the pause of tube", tube.name))  # noqa: PERF401 (as above)
    if picture.waiting:
        soonest = soonest_expiries(picture)
        for wait in picture.waiting:
            if wait.deadline_at is not None:
                dues.append((wait.deadline_at, "the deadline of", wait.client_id))
            if wait.client_id in soonest:
                dues.append((soonest[wait.client_id] - second, "the margin of", wait.client_id))
        if next(pairs(picture), None) is not None:
            dues.append((picture.clock, "a ready job for", next(pairs(picture))[0]))
    if picture.owed:
        dues.append((picture.clock, "the answer owed to", picture.owed[0].client_id))
    due_at, what, whose = min(dues, key=_instant, default=(None, "nothing", ""))
    expected = due_at if due_at is None else max(due_at, picture.clock)
    if picture.next_tick_at != expected:
        raise Broken(f"next_tick_at is {picture.next_tick_at}", f"{expected}, for {what} {whose!r}")
    return bool(dues)


def _instant(due: tuple[int, str, object]) -> int:
    return due[0]


def _counts(row: object) -> str:
    assert isinstance(row, dict)  # of counts by state
    return ", ".join(f"{count} {state}" for state, count in row.items())


STATE_RULES: tuple[Rule[Picture], ...] = (
    each_job_is_in_a_live_state,
    ids_lie_below_the_next_one,
    reserved_means_owned,
    numbers_are_within_their_limits,
    no_body_exceeds_the_limit,
    no_past_event_lies_ahead,
    burials_are_numbered_in_order,
    no_time_left_exceeds_its_length,
    tube_names_are_legal,
    watch_lists_name_each_tube_once,
    a_tube_exists_while_it_is_held,
    nobody_waits_twice,
    each_job_in_exactly_one_container,
    each_wait_knows_its_instant,
    next_tick_at_names_the_soonest_timer,
)
"""The invariants of a picture, what the others rely on first."""
