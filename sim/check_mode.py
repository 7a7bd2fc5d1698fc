"""How much of a run the invariants are checked on."""

from enum import StrEnum


class CheckMode(StrEnum):
    """What `jsm simulate --check` takes."""

    ALL = "all"  # after each call; in a machine that holds many jobs and clients, after each so-manyth
    SAMPLED = "sampled"  # between calls, now and then
    OFF = "off"
