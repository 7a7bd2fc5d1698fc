"""Every trace that differs from a good one in a single record is rejected, or is as good: counted, by an oracle."""

import contextlib
import json
from collections import Counter
from itertools import islice, pairwise

import pytest

from jsm.errors import JsmError
from jsm.observed import OPERATIONS, ObservedMachine, apply
from jsm.records import CommandRecord, Record, TransitionRecord
from jsm.trace import TraceError, read_trace
from models.verify import verify_trace
from models.watcher import TransitionViolation, TransitionWatcher
from tests.machines import Notes
from tests.recorded import Mutant, calls_of, check, short_story, single_mutations, transitions_of

COUNTS = {
    "both": {"violated": 1180, "unreadable": 1246, "holds": 60},
    "calls": {"violated": 522, "unreadable": 142, "holds": 62},
    "transitions": {"violated": 627, "unreadable": 1104, "holds": 28},
}
"""How many mutants of the short story end how. What holds, a machine would have recorded too."""


def _of_kind(kind: str) -> list[Record]:
    story = short_story()
    return {"both": story, "calls": calls_of(story), "transitions": transitions_of(story)}[kind]


def _verdict(mutant: Mutant) -> str:
    try:
        return verify_trace(mutant.lines).verdict
    except TraceError:
        return "unreadable"


def _recorded_anew(mutant: Mutant) -> list[Record]:
    """What the machine records of the mutant's calls, each made at its instant."""
    notes = Notes()
    machine = ObservedMachine(observer=notes)
    for record in _read(mutant):
        if isinstance(record, CommandRecord):
            given = record.args.get("now") is not None or "now" not in _parameters(record.op)
            call = record if given else record._replace(args={**record.args, "now": record.at})
            with contextlib.suppress(JsmError):
                apply(machine, call)
    return notes.records


def _read(mutant: Mutant) -> list[Record]:
    return list(read_trace(mutant.lines).records)


def _parameters(op: str) -> tuple[str, ...]:
    return OPERATIONS[op].__wrapped__.__code__.co_varnames  # type: ignore[attr-defined, no-any-return]


def _is_as_good(mutant: Mutant, kind: str) -> bool:
    """Whether a machine could have recorded it."""
    records = _read(mutant)
    if kind == "transitions":
        try:
            TransitionWatcher().consume(record for record in records if isinstance(record, TransitionRecord))
        except TransitionViolation:
            return False
        return True
    if any(later.at < earlier.at for earlier, later in pairwise(records)):
        return False
    anew = _recorded_anew(mutant)
    anew = anew if kind == "both" else calls_of(anew)
    return len(anew) == len(records) and all(map(_same, records, anew))


def _same(record: Record, anew: Record) -> bool:
    """Whether two records say the same; of a call without effect on the clock, the instant is its own."""
    if isinstance(record, TransitionRecord) or isinstance(anew, TransitionRecord):
        return record == anew
    if "refused" in record.outcome or "now" not in _parameters(record.op):
        anew = anew._replace(at=record.at)
    mine, theirs = dict(record.outcome), dict(anew.outcome)
    for outcome in (mine, theirs):
        outcome.pop("error", None)
        outcome.pop("message", None)
    same = json.dumps(mine) == json.dumps(theirs)
    return same and record[:4] == anew[:4] and type(record.client) is type(anew.client)


def _verdicts(kind: str, *, every: int) -> Counter[str]:
    """The verdicts on the mutants, every so many of them, each of which the oracle shares."""
    records = _of_kind(kind)
    assert check(records).verdict == "holds"
    counts: Counter[str] = Counter()
    wrong = []
    for mutant in islice(single_mutations(records), 0, None, every):
        verdict = _verdict(mutant)
        counts[verdict] += 1
        if verdict == "unreadable" or (kind == "transitions" and verdict == "violated"):
            continue  # of transitions the watcher, who is the oracle here, knows no clients
        if verdict != ("holds" if _is_as_good(mutant, kind) else "violated"):
            wrong.append(f"{mutant.what}: {verdict}")
    assert wrong == []
    return counts


@pytest.mark.parametrize(("kind", "every"), [("both", 6), ("calls", 3), ("transitions", 2)])
def test_a_share_of_single_mutations_is_rejected_or_as_good(kind: str, every: int) -> None:
    counts = _verdicts(kind, every=every)
    assert set(counts) == {"unreadable", "violated", "holds"}
    assert counts["violated"] > 5 * counts["holds"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", COUNTS)
def test_every_single_mutation_is_rejected_or_as_good(kind: str) -> None:
    assert dict(_verdicts(kind, every=1)) == COUNTS[kind]
