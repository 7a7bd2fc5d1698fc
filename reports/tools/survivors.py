"""The changes of one token that no test can notice, or need notice, each with its reason."""

from typing import Final

_SAME_LENGTH: Final = "both have as many elements whatever happens: `strict` says so to the reader"

REASONS: Final = (
    ("Machine.count_jobs", "return dict(zip(LIVE_STATES, counts", _SAME_LENGTH),
    ("check_body", "if type(None) is not bytes:", "`bytes` of bytes is the same object: only slower"),
    ("check_watch_list", "if type(None) is not tuple:", "`tuple` of a tuple is the same object: only slower"),
    ("_checked", "return check(*args, )", "no check is given keywords"),
    (
        "MachineSnapshot.finalize_restore",
        "new.changes = old.changes",
        "a stream that is open compares the state's identity first, so the number may be any",
    ),
    ("_Offer.add_client", "else 1 if entry.is_waiting else 3", "only the order of the ranks counts"),
)
"""Function, a part of the changed line, and why."""


def reason_of(function: str, after: str) -> str | None:
    """Why a change of a function to a line survives; None: nobody has said so."""
    for name, part, reason in REASONS:
        if function == name and part in after:
            return reason
    return None
