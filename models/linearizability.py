"""Is there an order of a history's operations, each at one instant between call and return, that SPEC allows?

`check_history` answers in three values. `holds`: there is one, with instants for every operation and for everything
that happened unseen, which `schedule` gives. `violated`: there is none, and the finding shows the longest beginning
that has one, the operation that can't follow, and why nothing else can. `undetermined`: a bound was hit.

What is allowed: an operation happens at one instant between its call and its return; one that never returned, then or
later or never. A ready job and a client that waits for it never stay together: the server hands the job out in the
same instant. Timers (a delay, a ttr, a pause, the time limit of a reserve) may be up to `lateness` late, each for
itself. Who waits longest is served first, as far as the instants tell. Ids grow.

Nothing is judged of a tube's existence that depends on who uses or watches it, of statistics, and of what `bad-value`
and `failed` say beyond that nothing changed.

Sources: Wing & Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability" (2017);
Horn & Kroening, "Faster linearizability checking via P-compositionality" (2015).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from jsm.errors import BadValueError
from models.finding import Finding
from models.histories import History
from models.linearizability_instants import Instants
from models.linearizability_schedule import Event, schedule_of
from models.linearizability_search import ACCEPTED, BOUNDS, NONE, PLAIN, REJECTED, UNKNOWN, Move, Search
from models.linearizability_steps import Part, parts_of, steps_of, whole_part
from models.linearizability_words import Rejection, explain
from models.linearizability_world import Limits

HOLDS: Final = "holds"
VIOLATED: Final = "violated"
UNDETERMINED: Final = "undetermined"

NAME: Final = "history_is_linearizable"

MAX_STATES: Final = 300_000
"""How many states are searched unless told otherwise: some ten seconds of work, a minute where instants are tight."""

DEVIATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "KB-1": "an expiry of a ttr may come late without bound, or never",
        "KB-12": "any waiting client may be served, not the one that has waited longest",
        "one-by-one": "of several jobs made ready at once, any may be handed out first, not the best",
    }
)
"""What servers are known to do otherwise, allowed only when named."""


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """What a check of a history found."""

    verdict: str  # HOLDS, VIOLATED or UNDETERMINED
    operations: int
    pending: int  # operations that never returned
    clients: int
    parts: int  # groups of tubes that were searched apart
    states: int
    hidden: int  # events that nobody saw, in the linearization that was found
    reason: str = ""  # what is undetermined
    finding: Finding | None = None
    rejection: Rejection | None = None
    schedule: tuple[Event, ...] = ()  # with HOLDS: what happened when

    def as_json(self) -> dict[str, Any]:
        """The result for machines, without the schedule."""
        document: dict[str, Any] = {
            "verdict": self.verdict,
            "operations": self.operations,
            "pending": self.pending,
            "clients": self.clients,
            "parts": self.parts,
            "states": self.states,
            "hidden": self.hidden,
            "reason": self.reason,
            "finding": None if self.finding is None else self.finding._asdict(),
        }
        if self.rejection is not None:
            document["rejection"] = {
                "prefix": list(self.rejection.prefix),
                "placed": self.rejection.placed,
                "operation": str(self.rejection.operation),
                "line": self.rejection.operation.line,
                "reason": self.rejection.reason,
                "state": list(self.rejection.state),
                "guards": [{"action": action, "reason": reason} for action, reason in self.rejection.guards],
            }
        return document


class _Attempt(NamedTuple):
    """How the search of all parts ended."""

    verdict: str
    states: int
    paths: list[tuple[Search, tuple[Move, ...]]]  # of the parts; when rejected, of the rejected one alone


def check_history(
    history: History,
    *,
    lateness: int | None = None,
    earliness: int = 0,
    max_states: int = MAX_STATES,
    deviations: Collection[str] = (),
) -> HistoryResult:
    """Check whether a history can be linearized.

    `lateness` is by how many units a server's timer may be late (default: one second), `earliness` by how many early,
    which is for servers whose clock is coarse. `max_states` bounds the work, `deviations` names what of `DEVIATIONS`
    the server is allowed. Raises `BadValueError`. Exponential in the number of operations under way together at
    worst; about linear in their whole number where few are.
    """
    second = history.units_per_second
    late = second if lateness is None else lateness
    for field, value in (("lateness", late), ("earliness", earliness), ("max_states", max_states)):
        if type(value) is not int or value < 0:
            raise BadValueError(field, value, "an integer of at least 0")
    for name in deviations:
        if name not in DEVIATIONS:
            raise BadValueError("deviations", name, f"some of {', '.join(DEVIATIONS)}")
    steps, names = steps_of(history, earliness=earliness)
    parts = parts_of(steps, names)
    limits = Limits(second, late, earliness, "KB-1" in deviations)
    switches = {"any_waiter": "KB-12" in deviations, "one_by_one": "one-by-one" in deviations}
    searches = [Search(part, limits, **switches) for part in parts]
    attempt = _search(searches, max_states)
    states = attempt.states
    if attempt.verdict == REJECTED and any(step.optional for step in steps):  # was something put off too long?
        attempt = _search(searches, max_states - states, patient=True)
        states += attempt.states
    events = schedule_of(steps, attempt.paths) if attempt.verdict == ACCEPTED else None
    if attempt.verdict != ACCEPTED or events is not None:
        return _result(history, parts, attempt._replace(states=states), events, max_states)
    # The instants of that order don't fit together: look for one whose instants do.
    whole = [Search(whole_part(steps, names), limits, **switches)]
    patience = (False, True) if any(step.optional for step in steps) else (True,)
    ways = [(group, memo, patient) for memo in (PLAIN, BOUNDS) for group in (searches, whole) for patient in patience]
    for group, memo, patient in [*ways, (whole, NONE, True)]:
        attempt = _search(group, max_states - states, timed=True, memo=memo, patient=patient)
        states += attempt.states
        if attempt.verdict == ACCEPTED:
            events = schedule_of(steps, attempt.paths)
        if events is not None or attempt.verdict == UNKNOWN:
            break
    return _result(history, parts, attempt._replace(states=states), events, max_states)


def _search(
    group: Sequence[Search], max_states: int, *, timed: bool = False, memo: str = PLAIN, patient: bool = False
) -> _Attempt:
    """Search all parts; a rejected one decides, an unknown one only if no other is rejected."""
    states = 0
    verdict = ACCEPTED
    paths = []
    for fresh in group:
        search = fresh.again()
        if timed:
            search.keep_time(Instants())
        found = search.run(max_states - states, memo=memo, patient=patient)
        states += found.states
        if found.verdict == REJECTED:
            return _Attempt(REJECTED, states, [(fresh.again(), found.path)])
        if found.verdict == UNKNOWN:
            verdict = UNKNOWN
        paths.append((fresh.again(), found.path))
    return _Attempt(verdict, states, paths)


def _result(
    history: History, parts: list[Part], attempt: _Attempt, events: tuple[Event, ...] | None, max_states: int
) -> HistoryResult:
    """The result in the caller's words."""
    verdict, reason = UNDETERMINED, ""
    rejection, finding = None, None
    if attempt.verdict == REJECTED:
        verdict = VIOLATED
        search, path = attempt.paths[0]
        rejection = explain(search, path)
        finding = _finding_of(history, rejection)
    elif events is None:
        reason = f"no answer after {attempt.states} states; give more of them (now {max_states})"
    else:
        verdict = HOLDS
    return HistoryResult(
        verdict=verdict,
        operations=len(history.operations),
        pending=sum(operation.returned_at is None for operation in history.operations),
        clients=len({operation.client for operation in history.operations}),
        parts=len(parts),
        states=attempt.states,
        hidden=sum(event.operation is None for event in events or ()),
        reason=reason,
        finding=finding,
        rejection=rejection,
        schedule=events or (),
    )


def _finding_of(history: History, rejection: Rejection) -> Finding:
    """The rejection as the finding of a check."""
    operation = rejection.operation
    step = next(place for place, each in enumerate(history.operations) if each is operation)
    return Finding(
        name=NAME,
        clause="SPEC 3–5",
        text="SPEC allows some order of the operations, each at an instant between its call and its return.",
        expected=f"what can follow {rejection.placed} operations in order; but {rejection.reason}",
        found=str(operation),
        step=step,
    )
