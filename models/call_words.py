"""A call and its answer in words, for whoever reads a failure and does not have the code in mind."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from models.calls import Call
from models.named_calls import named

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._$/+-]+")
_LOOKS: Final = {
    "peek_ready_job": "look at the next ready job of tube {tube}",
    "peek_delayed_job": "look at the next delayed job of tube {tube}",
    "peek_buried_job": "look at the next buried job of tube {tube}",
    "get_job": "look at job {job_id}",
    "get_tubes": "list the tubes",
    "get_stats_job_as_yaml": "read the statistics of job {job_id}",
    "get_stats_tube_as_yaml": "read the statistics of tube {tube}",
    "get_stats_as_yaml": "read the machine's statistics",
    "count_command": "count the command {name}",
    "stop": "stop the machine",
    "reload": "take a snapshot and go on with a new machine restored from it",
}
_ANSWER_FIELDS: Final = 5  # of an answer to a request for a job, as `models.calls.plain` gives it


def name_of(value: object) -> str:
    """A client's or tube's name, quoted where it is not plainly one."""
    return value if isinstance(value, str) and _PLAIN_NAME.fullmatch(value) else repr(value)


def call_in_words(call: Call) -> str:
    """What a call asks for; one that no signature takes, as it stands in a program."""
    found = named(call)
    if found is None:
        return str(call)
    if call.op in _LOOKS:
        return _LOOKS[call.op].format_map({field: name_of(value) for field, value in found.args.items()})
    return _SPOKEN[call.op](found.args)


def caller_of(call: Call) -> str | None:
    """The client that makes the call; None: it is none of one client."""
    found = named(call)
    client = None if found is None else found.args.get("client_id")
    return client if isinstance(client, str) else None


def outcome_in_words(op: str, outcome: Mapping[str, Any]) -> str:
    """How a call ended: its answer, its refusal, or what it raised."""
    if "refused" in outcome:
        return f"refused: {outcome['refused']}"
    if "crashed" in outcome:
        return f"raised {outcome['crashed']}"
    value = outcome["ok"]
    if op == "tick" and isinstance(value, list):
        return ", then ".join(map(_told, value)) or "nobody is told anything"
    if op in ("append_reservation", "reserve_job") and _is_answer(value):
        return _told_itself(value)
    if op == "put":
        return f"job {value}"
    if op == "kick_n":
        return f"{_jobs(value)} kicked"
    if op == "check_client_state" and isinstance(value, tuple) and len(value) == 3:
        words = zip(("waiting", "not waiting", "unknown"), value, strict=True)
        return "; ".join(f"{word}: {', '.join(map(name_of, names)) or 'none'}" for word, names in words)
    return "accepted" if value is None else short(value)


def short(value: object) -> str:
    """A value, cut where a line would no longer be read."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _is_answer(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == _ANSWER_FIELDS


def _told(answer: Any) -> str:
    """An answer that a tick hands out."""
    return f"client {name_of(answer[1])} {_STATUS.get(answer[2], answer[2])}{_of_job(answer)}"


def _told_itself(answer: Any) -> str:
    """An answer to the call that asked."""
    return f"{_STATUS_ITSELF.get(answer[2], answer[2])}{_of_job(answer)}"


def _of_job(answer: Any) -> str:
    return f" job {answer[3]}" if answer[3] else ""


_STATUS: Final = {"matched": "gets", "deadline-soon": "is told: deadline soon", "timeout": "is told: timed out"}
_STATUS_ITSELF: Final = {
    "matched": "gets",
    "deadline-soon": "told: deadline soon",
    "timeout": "told: timed out",
    "queued": "waits",
}


def _jobs(number: object) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def _client(args: Mapping[str, Any]) -> str:
    return f"client {name_of(args['client_id'])}"


def _put(args: Mapping[str, Any]) -> str:
    parts = [f"priority {args['priority']}"]
    if args["delay_seconds"] != 0:
        parts.append(f"delay {args['delay_seconds']} s")
    parts.append(f"ttr {args['ttr_seconds']} s")
    if args["body"] not in (b"", b"x"):
        parts.append(f"body {short(args['body'])}")
    return f"put a job into tube {name_of(args['tube'])}: {', '.join(parts)}"


def _append(args: Mapping[str, Any]) -> str:
    tubes, deadline = args["tubes"], args["deadline_at"]
    names = (
        ", ".join(map(name_of, tubes)) if isinstance(tubes, Sequence) and not isinstance(tubes, str) else repr(tubes)
    )
    until = "" if deadline is None else f", until {deadline}"
    until = ", without waiting" if deadline is not None and deadline == args["now"] else until
    return f"{_client(args)} asks for a job of {names or 'no tube'}{until}"


def _pause(args: Mapping[str, Any]) -> str:
    tube = name_of(args["tube"])
    return f"pause tube {tube} for {args['seconds']} s"


def _check(args: Mapping[str, Any]) -> str:
    clients = args["client_ids"]
    return f"ask which of {short(list(clients) if isinstance(clients, tuple) else clients)} wait"


_SPOKEN: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "put": _put,
    "append_reservation": _append,
    "pause_tube": _pause,
    "check_client_state": _check,
    "delete": lambda args: f"{_client(args)} deletes job {args['job_id']}",
    "release": lambda args: f"{_client(args)} releases job {args['job_id']}",
    "release_with": lambda args: (
        f"{_client(args)} releases job {args['job_id']} with priority {args['priority']}"
        f", delay {args['delay_seconds']} s"
    ),
    "touch": lambda args: f"{_client(args)} touches job {args['job_id']}",
    "bury": lambda args: f"{_client(args)} buries job {args['job_id']} with priority {args['priority']}",
    "kick": lambda args: f"kick job {args['job_id']}",
    "kick_n": lambda args: f"kick at most {_jobs(args['n'])} of tube {name_of(args['tube'])}",
    "reserve_job": lambda args: f"{_client(args)} reserves job {args['job_id']} by its id",
    "cancel_reservation": lambda args: f"{_client(args)} gives up waiting",
    "tick": lambda args: "tick",
    "use_tube": lambda args: f"{_client(args)} uses tube {name_of(args['tube'])}",
    "watch_tube": lambda args: f"{_client(args)} watches tube {name_of(args['tube'])}",
    "ignore_tube": lambda args: f"{_client(args)} ignores tube {name_of(args['tube'])}",
    "close_client": lambda args: f"the connection of {_client(args)} closes",
}
