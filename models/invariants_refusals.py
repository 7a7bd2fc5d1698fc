"""The invariants of refusals: what each call must be refused for, and that nothing else is refused.

The grounds are worked out from a picture and the arguments alone, in the order in which SPEC ranks them. Each has a
name of its own, which is broken by a call that is accepted all the same, or refused for another reason.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from models.invariants_rule import UINT32_MAX, Broken, Described
from models.invariants_state import is_tube_name
from models.invariants_step import Step
from models.picture import Picture

Ground = tuple[str, str]
"""A refusal's category and the name of the invariant that demands it."""

_REFUSALS: Final = (
    ("a_call_from_the_past_is_refused", "S22", "A call whose `now` lies before the clock is refused"),
    ("values_of_a_wrong_type_are_refused", "S24", "An argument of a wrong type is refused"),
    (
        "numbers_out_of_range_are_refused",
        "S24",
        "A priority, delay, ttr, pause or n is refused exactly out of its range",
    ),
    ("illegal_tube_names_are_refused", "S23", "A tube name is refused exactly when it has an illegal letter or length"),
    ("bodies_too_big_are_refused", "S25", "A body is refused exactly when it is longer than `max_job_size`"),
    (
        "an_ask_for_the_past_is_refused",
        "S20",
        "An ask is refused when its deadline lies before now, and not when it is now",
    ),
    ("an_empty_watch_list_is_refused", "S30", "An ask that watches no tube is refused"),
    ("the_last_watched_tube_stays", "S30", "A client can't ignore its only watched tube, and can ignore any other"),
    ("an_empty_client_is_refused", "S4", "An empty client id is refused: it would match a job without owner"),
    (
        "a_job_that_is_gone_is_missing",
        "S11",
        "Every command on an id is refused as missing exactly when no live job has it",
    ),
    (
        "a_tube_that_is_gone_is_missing",
        "S19",
        "A look at a tube, or a pause, is refused as missing exactly if there is none",
    ),
    ("a_peek_finds_what_is_there", "S10", "A peek is refused as missing exactly when the tube has no job in the state"),
    (
        "a_reserved_job_is_not_reserved_again",
        "S5",
        "A job is refused to be reserved by its id exactly when it is reserved",
    ),
    (
        "a_pause_hinders_nothing_else",
        "S29",
        "A pause of its tube hinders no reserve by id, kick, delete or peek of a job",
    ),
    (
        "a_kick_takes_buried_or_delayed_only",
        "S16",
        "A kick of one job is refused exactly unless it is buried or delayed",
    ),
    ("only_a_reserved_job_is_given_back", "S4", "Release, bury and touch are refused unless the job is reserved"),
    (
        "only_the_owner_has_a_reserved_job",
        "S4",
        "Release, bury, touch, delete of a reserved job are its owner's and nobody else's",
    ),
    ("anyone_deletes_what_is_not_reserved", "S11", "A ready, delayed or buried job is deleted for anyone"),
    (
        "one_wait_a_client",
        "S20",
        "An ask is refused exactly to a client that waits or is owed an answer, whatever it holds",
    ),
    ("only_these_refusals", "SPEC 3", "No call is refused for another reason than these"),
)
REFUSALS: Final[Mapping[str, Described]] = {name: Described(name, *rest) for name, *rest in _REFUSALS}
"""The invariants of refusals by name."""

_ANY_NOW: Final = (
    *("put", "release_with", "touch", "bury", "append_reservation", "reserve_job", "tick", "pause_tube"),
    *("get_stats_job_as_yaml", "get_stats_tube_as_yaml", "get_stats_as_yaml"),
)  # the operations whose `now` can't be left out
_TIMELESS: Final = ("count_command", "stop", "next_tick_at", "reload")


def check_refusal(step: Step) -> str:
    """Check that the call was refused for the right reason, or rightly accepted.

    Returns the name that it exercised; of an accepted call it is the one that a refusal would have broken.
    Raises `Unfounded`.
    """
    before, op, args, refused = step.before, step.op, step.args, step.refused
    if refused == "bad-value" and args.get("process") is not None:
        return "only_these_refusals"  # what `process` may hold is between the machine and its server
    category, name = _ground(before, op, args) or (None, "")
    if refused == category:
        return name or _blamed(before, op, args, "")
    ended = "was accepted" if refused is None else f"was refused as {refused}"
    expected = "that it is accepted" if category is None else f"a refusal as {category}"
    raise Unfounded(name or _blamed(before, op, args, str(refused)), f"the call {ended}", expected)


class Unfounded(Broken):
    """A call was refused without a reason, or accepted against one; `name` is the invariant's."""

    def __init__(self, name: str, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.name = name


def _blamed(before: Picture, op: str, args: Mapping[str, Any], refused: str) -> str:
    """The invariant that a refusal without a reason breaks: whose sentence it takes too far."""
    if refused == "bad-value":
        if args.get("deadline_at") is not None and args["deadline_at"] == args.get("now"):
            return "an_ask_for_the_past_is_refused"
        names = (args["tube"],) if "tube" in args else tuple(args.get("tubes", ()))
        if op == "ignore_tube" or all(name.isalnum() for name in names):
            return {"put": "numbers_out_of_range_are_refused", "ignore_tube": "the_last_watched_tube_stays"}.get(
                op, "only_these_refusals"
            )
        return "illegal_tube_names_are_refused"
    job = before.jobs.get(args.get("job_id", 0))
    if job is not None and op not in ("release", "release_with", "touch", "bury"):
        tube = before.tubes.get(job.tube)
        if tube is not None and tube.pause_ends_at is not None:
            return "a_pause_hinders_nothing_else"
    return _TAKEN_TOO_FAR.get(op, "only_these_refusals")


_TAKEN_TOO_FAR: Final[Mapping[str, str]] = {
    "delete": "anyone_deletes_what_is_not_reserved",
    **dict.fromkeys(("release", "release_with", "touch", "bury"), "only_the_owner_has_a_reserved_job"),
    "kick": "a_kick_takes_buried_or_delayed_only",
    "reserve_job": "a_reserved_job_is_not_reserved_again",
    **dict.fromkeys(("append_reservation", "cancel_reservation"), "one_wait_a_client"),
    **dict.fromkeys(("get_job", "get_stats_job_as_yaml"), "a_job_that_is_gone_is_missing"),
    **dict.fromkeys(("pause_tube", "get_stats_tube_as_yaml"), "a_tube_that_is_gone_is_missing"),
    **dict.fromkeys(("peek_ready_job", "peek_delayed_job", "peek_buried_job"), "a_peek_finds_what_is_there"),
}


def _ground(before: Picture, op: str, args: Mapping[str, Any]) -> Ground | None:
    """What the call must be refused for, the first in the order of SPEC 1; None: it must be accepted."""
    if op not in _TIMELESS:
        now = args.get("now")
        if now is not None or op in _ANY_NOW:
            if type(now) is not int:
                return "bad-value", "values_of_a_wrong_type_are_refused"
            if now < before.clock:
                return "time-backwards", "a_call_from_the_past_is_refused"
    bad = _bad_value(before, op, args)
    if bad is not None:
        return "bad-value", bad
    if args.get("client_id") == "" or (op == "check_client_state" and "" in args["client_ids"]):
        return "empty-client", "an_empty_client_is_refused"
    state = _GROUNDS.get(op)
    return None if state is None else state(before, args)


# ---------------------------------------------------------------------- bad values


def _bad_value(before: Picture, op: str, args: Mapping[str, Any]) -> str | None:
    """The invariant that an argument breaks by its value alone."""
    for name in ("priority", "delay_seconds", "ttr_seconds", "seconds", "n"):
        if name in args:
            value = args[name]
            if type(value) is not int:
                return "values_of_a_wrong_type_are_refused"
            if value < 0 or (name != "n" and value > UINT32_MAX):
                return "numbers_out_of_range_are_refused"
    if "tube" in args and not is_tube_name(args["tube"]):
        return "illegal_tube_names_are_refused"
    if "job_id" in args and type(args["job_id"]) is not int:
        return "values_of_a_wrong_type_are_refused"
    if "client_id" in args and type(args["client_id"]) is not str:
        return "values_of_a_wrong_type_are_refused"
    if type(args.get("request_id", "")) is not str:
        return "values_of_a_wrong_type_are_refused"
    special = _BAD_VALUES.get(op)
    return None if special is None else special(before, args)


def _bad_put(before: Picture, args: Mapping[str, Any]) -> str | None:
    body = args["body"]
    if not isinstance(body, bytes | bytearray | memoryview):
        return "values_of_a_wrong_type_are_refused"
    return "bodies_too_big_are_refused" if len(bytes(body)) > before.max_job_size else None


def _bad_ask(before: Picture, args: Mapping[str, Any]) -> str | None:
    tubes, deadline_at = args["tubes"], args["deadline_at"]
    if isinstance(tubes, str | bytes) or not isinstance(tubes, Iterable):
        return "values_of_a_wrong_type_are_refused"
    names = list(tubes)
    if not names:
        return "an_empty_watch_list_is_refused"
    if not all(is_tube_name(name) for name in names):
        return "illegal_tube_names_are_refused"
    if deadline_at is not None:
        if type(deadline_at) is not int:
            return "values_of_a_wrong_type_are_refused"
        if deadline_at < args["now"]:
            return "an_ask_for_the_past_is_refused"
    return None


def _bad_ignore(before: Picture, args: Mapping[str, Any]) -> str | None:
    client = before.clients.get(args["client_id"])
    return "the_last_watched_tube_stays" if client is not None and client.watches == (args["tube"],) else None


def _bad_clients(before: Picture, args: Mapping[str, Any]) -> str | None:
    clients = args["client_ids"]
    if isinstance(clients, str | bytes) or not isinstance(clients, Iterable):
        return "values_of_a_wrong_type_are_refused"
    return None if all(type(client) is str for client in clients) else "values_of_a_wrong_type_are_refused"


def _bad_command(before: Picture, args: Mapping[str, Any]) -> str | None:
    name = args["name"]
    return None if type(name) is str and name in before.commands else "values_of_a_wrong_type_are_refused"


_BAD_VALUES: Final[Mapping[str, Callable[[Picture, Mapping[str, Any]], str | None]]] = {
    "put": _bad_put,
    "append_reservation": _bad_ask,
    "ignore_tube": _bad_ignore,
    "check_client_state": _bad_clients,
    "count_command": _bad_command,
}


# ---------------------------------------------------------------------- what the state refuses


def _missing_job(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    return None if args["job_id"] in before.jobs else ("missing", "a_job_that_is_gone_is_missing")


def _missing_tube(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    return None if args["tube"] in before.tubes else ("missing", "a_tube_that_is_gone_is_missing")


def _not_mine(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    job = before.jobs.get(args["job_id"])
    if job is None:
        return "missing", "a_job_that_is_gone_is_missing"
    if job.state != "reserved":
        return "wrong-state", "only_a_reserved_job_is_given_back"
    return None if job.reserved_by == args["client_id"] else ("unauthorized", "only_the_owner_has_a_reserved_job")


def _not_to_delete(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    ground = _not_mine(before, args)
    return None if ground is not None and ground[0] == "wrong-state" else ground


def _not_to_kick(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    job = before.jobs.get(args["job_id"])
    if job is None:
        return "missing", "a_job_that_is_gone_is_missing"
    return None if job.state in ("buried", "delayed") else ("wrong-state", "a_kick_takes_buried_or_delayed_only")


def _not_to_reserve(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    job = before.jobs.get(args["job_id"])
    if job is None:
        return "missing", "a_job_that_is_gone_is_missing"
    return ("missing", "a_reserved_job_is_not_reserved_again") if job.state == "reserved" else None


def _not_to_ask(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    client = before.clients.get(args["client_id"])
    busy = client is not None and (client.is_waiting or client.owed is not None)
    return ("wrong-state", "one_wait_a_client") if busy else None


def _not_to_cancel(before: Picture, args: Mapping[str, Any]) -> Ground | None:
    client = before.clients.get(args["client_id"])
    return ("wrong-state", "one_wait_a_client") if client is not None and client.owed is not None else None


def _nothing_to_peek(state: str) -> Callable[[Picture, Mapping[str, Any]], Ground | None]:
    def ground(before: Picture, args: Mapping[str, Any]) -> Ground | None:
        missing = _missing_tube(before, args)
        if missing is not None:
            return missing
        found = any(job.state == state and job.tube == args["tube"] for job in before.jobs.values())
        return None if found else ("missing", "a_peek_finds_what_is_there")

    return ground


_GROUNDS: Final[Mapping[str, Callable[[Picture, Mapping[str, Any]], Ground | None]]] = {
    "delete": _not_to_delete,
    **dict.fromkeys(("release", "release_with", "touch", "bury"), _not_mine),
    "kick": _not_to_kick,
    "get_job": _missing_job,
    "get_stats_job_as_yaml": _missing_job,
    "reserve_job": _not_to_reserve,
    "append_reservation": _not_to_ask,
    "cancel_reservation": _not_to_cancel,
    **dict.fromkeys(("pause_tube", "get_stats_tube_as_yaml"), _missing_tube),
    "peek_ready_job": _nothing_to_peek("ready"),
    "peek_delayed_job": _nothing_to_peek("delayed"),
    "peek_buried_job": _nothing_to_peek("buried"),
}
