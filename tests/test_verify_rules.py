"""The rules of transitions are the watcher's: both reject the same records of spoilt histories, in the same words."""

from random import Random

import pytest

from jsm.records import TransitionRecord
from jsm.states import JobState, Trigger
from models.finding import WATCHER_RULES
from models.verify_ledger import Ledger
from models.verify_rules import RULE_NAMED, RULES, broken_by_transition
from models.watcher import TransitionViolation, TransitionWatcher
from tests.made_records import history


def _spoilt(records: list[TransitionRecord], chance: Random) -> list[TransitionRecord]:
    """The history with one record left out, doubled, or with another value in a field."""
    place = chance.randrange(1, len(records))
    record = records[place]
    kind = chance.randrange(9)
    if kind == 0:
        return records[:place] + [each._replace(seq=each.seq - 1) for each in records[place + 1 :]]
    if kind == 1:
        return [*records[:place], record, *[each._replace(seq=each.seq + 1) for each in records[place:]]]
    changes: dict[str, object] = [
        {"seq": record.seq + chance.choice((-1, 1))},
        {"at": record.at + chance.choice((-60, 60))},
        {"job": chance.randint(1, 1 + max(each.job for each in records))},
        {"tube": "other"},
        {"source": chance.choice(list(JobState))},
        {"trigger": chance.choice(list(Trigger))},
        {"target": chance.choice(list(JobState))},
    ][kind - 2]
    return [*records[:place], record._replace(**changes), *records[place + 1 :]]


def _of_watcher(records: list[TransitionRecord]) -> tuple[str, str, int] | None:
    try:
        TransitionWatcher().consume(records)
    except TransitionViolation as violation:
        return violation.name, violation.expected, records.index(violation.record)
    return None


def _of_ledger(records: list[TransitionRecord]) -> tuple[str, str, int] | None:
    ledger = Ledger()
    for record in records:
        broken = broken_by_transition(ledger, record, adopting=False, clients_known=False)
        if broken is not None:
            return broken.rule, broken.expected, records.index(record)
        ledger.take(record)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_ledger_and_watcher_reject_the_same_records(seed: int) -> None:
    chance = Random(seed)
    records = history(seed, steps=80)
    assert _of_ledger(records) is None
    rules = set()
    for _ in range(250):
        spoilt = _spoilt(records, chance)
        found = _of_watcher(spoilt)
        assert _of_ledger(spoilt) == found
        rules.add(None if found is None else found[0])
    assert rules >= {*WATCHER_RULES}


def test_rules_have_one_name_each_and_a_sentence() -> None:
    assert len(RULE_NAMED) - 1 == len(RULES) == len(WATCHER_RULES) + 7  # the one more is that of histories
    assert all(rule.text.endswith(".") for rule in RULES)
    assert {rule.about for rule in RULES} == {"record", "transition", "call", "own"}
