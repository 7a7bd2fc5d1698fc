"""The whole museum: all exhibits in one list, and the rows of INVARIANTS section 2 that no machine can have."""

from typing import Final

from tests.mutants import (
    client_faults,
    count_faults,
    job_faults,
    kick_faults,
    late_faults,
    reserve_faults,
    restore_faults,
    tick_faults,
    timer_faults,
    tube_faults,
    value_faults,
    wait_faults,
)
from tests.mutants.exhibit import MUSEUM, Exhibit

ROOMS: Final = (
    timer_faults,
    tick_faults,
    job_faults,
    kick_faults,
    reserve_faults,
    wait_faults,
    client_faults,
    restore_faults,
    value_faults,
    late_faults,
    count_faults,
    tube_faults,
)
"""The modules, each of which has put its exhibits into `MUSEUM` when it was imported."""

BEANSTALKD_NOW: Final = (1, 2, 8, 11, 12)
OTHERS: Final = (
    13, 15, 18, 19, 21, 23, 25, 26, 29, 32, 33, 34, 36, 37, 38, 39, 40, 42, 44, 45, 47, 49, 51, 52, 54, 55, 56, 58,
)  # fmt: skip
ROWS: Final = (*(f"KB-{row}" for row in BEANSTALKD_NOW), *(str(row) for row in OTHERS))
"""The numbers of the rows of INVARIANTS section 2."""

OUT_OF_REACH: Final = {
    "36": "The reply to a put while draining comes before the body was read. A machine is given whole bodies, and "
    "draining is a server's state.",
    "37": "An over-long line gets two replies. A machine reads no lines and answers a call once.",
    "38": "A put that declares a huge body crashes. A machine is given the body, not its size as text.",
}
"""The rows that only a server on the wire can have, and why."""

OUTSIDE: Final = {
    "KB-8": (
        "`kick 1x` and `kick 1 2` are accepted",
        "test_codec.py::test_numbers_are_decimal_digits_and_nothing_else",
    ),
    "21": ("numbers of a put past 2^32-1 are accepted", "test_codec.py::test_numbers_end_at_their_limits"),
    "25": (
        "counters are lost when the server starts again",
        "test_durable.py::test_it_answers_as_a_machine_and_recovers_as_one",
    ),
    "36": (
        "the body of a put that is refused is taken for commands",
        "test_broker.py::test_while_draining_puts_alone_are_refused_after_their_body",
    ),
    "37": (
        "a line that is too long is answered twice",
        "test_codec.py::test_a_line_that_is_too_long_is_answered_at_its_end_and_never_kept",
    ),
    "38": ("a huge size of a body overflows", "test_codec.py::test_a_body_that_is_too_big_is_never_kept"),
    "39": (
        "ids with a sign, blanks or letters hit jobs",
        "test_codec.py::test_numbers_are_decimal_digits_and_nothing_else",
    ),
    "40": ("a timeout past the limit wraps", "test_codec.py::test_numbers_end_at_their_limits"),
    "42": ("commands behind a reserve that waits are read", "test_broker.py::test_commands_behind_a_wait_wait_too"),
    "44": (
        "buried and reserved jobs are lost when the server starts again",
        "test_durable.py::test_random_histories_are_answered_alike_and_recovered",
    ),
    "47": (
        "delays are asleep when the server starts again",
        "test_durable.py::test_it_answers_as_a_machine_and_recovers_as_one",
    ),
    "55": ("TIMED_OUT and DEADLINE_SOON are never sent", "test_broker.py::test_waits_end_in_time"),
    "58": ("legal names of tubes are refused", "test_codec.py::test_tubes_have_legal_names"),
}
"""By row: the fault as the wire or the journal can have it, and the test that is about it."""


def _place(exhibit: Exhibit) -> tuple[int, int, str]:
    """The rows in their order, then the museum's own."""
    row, own = exhibit.number.rstrip("ab"), exhibit.number.startswith("J")
    return (1, int(row[1:]), "") if own else (0, ROWS.index(row), exhibit.number)


EXHIBITS: Final[tuple[Exhibit, ...]] = tuple(sorted(MUSEUM, key=_place))
"""All exhibits, in order of their numbers."""


def of_row(row: str) -> list[Exhibit]:
    """The exhibits of a row; 44 has two, 44a and 44b."""
    return [exhibit for exhibit in EXHIBITS if exhibit.number.rstrip("ab") == row]
