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
from models.linearizability_steps import Part, Step, parts_of, steps_of, whole_part
from models.linearizability_words import Rejection, explain
from models.linearizability_world import Limits

HOLDS: Final = "holds"
VIOLATED: Final = "violated"
UNDETERMINED: Final = "undetermined"

NAME: Final = "history_is_linearizable"

MAX_STATES: Final = 300_000
"""How many states are searched unless told otherwise: some ten seconds of work, a minute where instants are tight."""

PUNCTUAL: Final = 20
"""The part of the lateness within which a server's timers are expected to fire at first."""

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
    check = _Check(steps, parts_of(steps, names), whole_part(steps, names), deviations)
    states = 0
    punctual = late // PUNCTUAL
    if punctual < late:  # most servers are, and then there is little to try; if not, this proves nothing
        found = check.run(Limits(second, punctual, earliness, "KB-1" in deviations), max_states // 4, (PLAIN,))
        states = found.states
        if found.events is not None:
            return _result(history, check.parts, found, max_states)
    limits = Limits(second, late, earliness, "KB-1" in deviations)
    found = check.run(limits, max_states - states, (PLAIN, BOUNDS, NONE))
    return _result(history, check.parts, found._replace(states=states + found.states), max_states)


class _Attempt(NamedTuple):
    """How the search of all parts ended."""

    verdict: str
    states: int
    paths: list[tuple[Search, tuple[Move, ...]]]  # of the parts; when rejected, of the rejected one alone
    events: tuple[Event, ...] | None = None  # with instants that fit: that proves it


class _Check:
    """The searches of one history, from the cheap ones to the exact ones."""

    def __init__(self, steps: list[Step], parts: list[Part], whole: Part, deviations: Collection[str]) -> None:
        self.steps = steps
        self.parts = parts
        self.whole = whole
        self.any_waiter = "KB-12" in deviations
        self.one_by_one = "one-by-one" in deviations
        self.optional = any(step.optional for step in steps)

    def run(self, limits: Limits, max_states: int, memos: Sequence[str]) -> _Attempt:
        """Search without instants first, then with them, with one kind of memo after the other."""
        found = self._search(self.parts, limits, max_states, timed=False, memo=PLAIN, patient=not self.optional)
        states = found.states
        if found.verdict == REJECTED and self.optional:  # was something put off too long?
            found = self._search(self.parts, limits, max_states - states, timed=False, memo=PLAIN, patient=True)
            states += found.states
        if found.verdict != ACCEPTED or found.events is not None:
            return found._replace(states=states)
        # The instants of that order don't fit together: look for one whose instants do.
        ways = [
            (group, memo, patient)
            for memo in memos
            if memo != NONE
            for group in (self.parts, [self.whole])
            for patient in ((False, True) if self.optional else (True,))
        ]
        for group, memo, patient in [*ways, *(([self.whole], NONE, True) for memo in memos if memo == NONE)]:
            found = self._search(group, limits, max_states - states, timed=True, memo=memo, patient=patient)
            states += found.states
            if found.events is not None or found.verdict == UNKNOWN:
                break
        return found._replace(states=states)

    def _search(
        self, group: Sequence[Part], limits: Limits, max_states: int, *, timed: bool, memo: str, patient: bool
    ) -> _Attempt:
        """Search all parts; a rejected one decides, an unknown one only if no other is rejected."""
        states = 0
        verdict = ACCEPTED
        paths = []
        for part in group:
            fresh = Search(part, limits, any_waiter=self.any_waiter, one_by_one=self.one_by_one)
            search = fresh.again()
            if timed:
                search.keep_time(Instants())
            found = search.run(max_states - states, memo=memo, patient=patient)
            states += found.states
            if found.verdict == REJECTED:
                return _Attempt(REJECTED, states, [(fresh, found.path)])
            if found.verdict == UNKNOWN:
                verdict = UNKNOWN
            paths.append((fresh, found.path))
        return _Attempt(verdict, states, paths, schedule_of(self.steps, paths) if verdict == ACCEPTED else None)


def _result(history: History, parts: list[Part], attempt: _Attempt, max_states: int) -> HistoryResult:
    """The result in the caller's words."""
    verdict, reason = UNDETERMINED, ""
    events = attempt.events
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
