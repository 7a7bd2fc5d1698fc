"""The changes of one token that no test can notice, or need notice, each with its reason."""

from typing import Final

_SAME_LENGTH: Final = "both have as many elements whatever happens: `strict` says so to the reader"
_SLOWER: Final = "only slower: the checks that are skipped on the common path are then made, and pass"
_GUARD: Final = "a key never equals this bound, or what is called then finds nothing that is due"
_OTHER_NUMBER: Final = "streams compare the number for equality with an earlier one, and it still differs"
_ORDER: Final = "only the order of these numbers counts"
_SET_BEFORE_READ: Final = "set before it is read, or read for its truth alone"
_CLOCK: Final = "if self._stopped or type("
_ALL_DUE: Final = "<= below:"

REASONS: Final = (
    ("Client.__init__", "self.", _SET_BEFORE_READ),
    ("Job.__init__", "self.key = ", _SET_BEFORE_READ),
    ("Machine.append_reservation", _CLOCK, _SLOWER),
    ("Machine.append_reservation", "if type(None) is not str", _SLOWER),
    ("Machine.append_reservation", "state.changes += 2", _OTHER_NUMBER),
    ("Machine.count_jobs", "return dict(zip(LIVE_STATES, counts", _SAME_LENGTH),
    ("Machine.delete", _CLOCK, _SLOWER),
    ("Machine.delete", "is not int or type(", _SLOWER),
    ("Machine.delete", "state.changes += 2", _OTHER_NUMBER),
    ("Machine.delete", "if not (tube.watching and tube.using):", "only slower: a tube that is in use is not dropped"),
    ("Machine.next_tick_at", "<= soonest", "of two equal instants either is the soonest"),
    ("Machine.next_tick_at", "due >= state.clock", "of two equal instants either is the later"),
    ("Machine.put", _CLOCK, _SLOWER),
    ("Machine.put", "home = ", "only slower: the tube is looked up again, by its name"),
    ("Machine.put", "if type(None) is not bytes", _SLOWER),
    ("Machine.put", "len(body) >= state.max_job_size", _SLOWER),
    ("Machine.put", "state.changes += 2", _OTHER_NUMBER),
    ("Machine.__init__", "self._stopped = None", "read for its truth alone"),
    ("Machine._set_clock", "state.changes += 2", _OTHER_NUMBER),
    ("Machine.tick", _CLOCK, _SLOWER),
    ("Machine.tick", "<= due_below", _GUARD),
    ("Machine.tick", "state.changes += 2", _OTHER_NUMBER),
    (
        "MachineSnapshot.finalize_restore",
        "new.changes = old.changes",
        "a stream compares the identity of the state first",
    ),
    ("State.__init__", "self.changes = 1", _OTHER_NUMBER),
    ("State.__init__", "self.next_ask = 2", _ORDER),
    ("State.__init__", "self.next_tube_serial = 1", _ORDER),
    ("State.answer_waiters", _ALL_DUE, _GUARD),
    ("State.best_ready", "if key <= best or not best:", "no two keys are equal"),
    ("State.end_delays", _ALL_DUE, _GUARD),
    ("State.end_wait", "client.ask = None", _SET_BEFORE_READ),
    ("State.end_wait", "client.margin = None", _SET_BEFORE_READ),
    ("State.expire", _ALL_DUE, _GUARD),
    ("State.move", "due: int = 1", "only a job that becomes delayed or reserved has one, and then it is given"),
    ("State.start_wait", "self.next_ask += 2", _ORDER),
    ("State.start_wait", "self.tubes.get(None) or self.tube_named(name)", "only slower: `tube_named` looks it up, too"),
    ("State.tube_named", "self.next_tube_serial += 2", _ORDER),
    ("_Offer.add_client", "else 1 if entry.is_waiting else 3", _ORDER),
    ("_checked", "return check(*args, )", "no check is given keywords"),
    ("check_body", "if type(None) is not bytes:", "only slower: `bytes` of bytes is the same object"),
    *(
        ("check_put_numbers", part, _SLOWER)
        for part in ("type(None) is int", "and 1 <= ", "and 0 < ", " < PRIORITY_MAX", " < SECONDS_MAX")
    ),
    ("check_watch_list", "if type(None) is not tuple:", "only slower: `tuple` of a tuple is the same object"),
)
"""Function, a part of the changed line, and why."""


def reason_of(function: str, after: str) -> str | None:
    """Why a change of a function to a line survives; None: nobody has said so."""
    for name, part, reason in REASONS:
        if function == name and part in after:
            return reason
    return None
