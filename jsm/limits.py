"""The protocol's limits, and the checks of a caller's arguments against them.

Source: beanstalkd `doc/protocol.txt`, sections on `put`, tube names and numbers. Every check refuses `bool`
and `float`: `True` would name job 1, and `1.0` would make an instant that is no whole unit.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from jsm.errors import BadValueError, BodyTooBigError, EmptyClientError
from jsm.job import TubeName

PRIORITY_MAX = 2**32 - 1
SECONDS_MAX = 2**32 - 1  # of a delay, a ttr and a pause
TTR_SECONDS_MIN = 1  # a ttr of 0 is silently raised to it
MAX_JOB_SIZE = 65_535  # bytes, the default of `max_job_size`
TUBE_NAME_BYTES_MAX = 200
URGENT_PRIORITY_LIMIT = 1024  # a ready job below it counts as urgent
DEFAULT_TUBE = "default"

_TUBE_NAME = re.compile(r"[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}", re.ASCII)


def check_priority(priority: int) -> None:
    """Raise `BadValueError` unless `priority` is an integer 0 … 2^32-1."""
    if type(priority) is not int or not 0 <= priority <= PRIORITY_MAX:
        raise BadValueError("priority", priority, "an integer from 0 to 4294967295")


def check_put_numbers(priority: int, delay_seconds: int, ttr_seconds: int) -> None:
    """Raise `BadValueError` unless the three numbers of a put are within their limits."""
    if not (
        type(priority) is int
        and 0 <= priority <= PRIORITY_MAX
        and type(delay_seconds) is int
        and 0 <= delay_seconds <= SECONDS_MAX
        and type(ttr_seconds) is int
        and 0 <= ttr_seconds <= SECONDS_MAX
    ):
        check_priority(priority)
        check_seconds("delay_seconds", delay_seconds)
        check_seconds("ttr_seconds", ttr_seconds)


def check_seconds(field: str, seconds: int) -> None:
    """Raise `BadValueError` unless `seconds` is an integer 0 … 2^32-1."""
    if type(seconds) is not int or not 0 <= seconds <= SECONDS_MAX:
        raise BadValueError(field, seconds, "a whole number of seconds from 0 to 4294967295")


def check_tube_name(tube: str) -> None:
    """Raise `BadValueError` unless `tube` is a legal tube name."""
    if type(tube) is not str or _TUBE_NAME.fullmatch(tube) is None:
        raise BadValueError("tube", tube, "1 to 200 characters of A-Z a-z 0-9 - + / ; . $ _ ( ), not starting with '-'")


def check_body(body: bytes | bytearray | memoryview, max_job_size: int) -> bytes:
    """A copy of `body` as bytes; raises `BadValueError` for another type, `BodyTooBigError` past the limit."""
    if type(body) is not bytes:
        if not isinstance(body, bytes | bytearray | memoryview):
            raise BadValueError("body", body, "bytes")
        body = bytes(body)
    if len(body) > max_job_size:
        raise BodyTooBigError("body", f"{len(body)} bytes", f"at most max_job_size = {max_job_size} bytes")
    return body


def check_watch_list(tubes: Iterable[TubeName]) -> tuple[TubeName, ...]:
    """The named tubes without repetition, in order; raises `BadValueError` when empty or a name is illegal.

    Lists that were looked at lately are remembered: a worker asks with the same one again and again.
    """
    if type(tubes) is not tuple:
        if isinstance(tubes, str | bytes) or not isinstance(tubes, Iterable):
            raise BadValueError("tubes", tubes, "a sequence of tube names")
        tubes = tuple(tubes)
    try:
        return _checked_watch_list(tubes)
    except TypeError:  # a name that can't be hashed is no string
        raise BadValueError("tubes", tubes, "tube names, which are strings") from None


@lru_cache(maxsize=1024, typed=True)
def _checked_watch_list(names: tuple[TubeName, ...]) -> tuple[TubeName, ...]:
    watched = tuple(dict.fromkeys(names))
    if not watched:
        raise BadValueError("tubes", watched, "at least one tube name")
    for tube in watched:
        check_tube_name(tube)
    return watched


def check_job_id(job_id: int) -> None:
    """Raise `BadValueError` unless `job_id` is an integer; whether a job has it is another question."""
    if type(job_id) is not int:
        raise BadValueError("job_id", job_id, "an integer")


def check_client_id(client_id: str) -> None:
    """Raise `BadValueError` unless `client_id` is a string, `EmptyClientError` when it is empty."""
    if type(client_id) is not str:
        raise BadValueError("client_id", client_id, "a string")
    if not client_id:
        raise EmptyClientError


def check_job_and_client(job_id: int, client_id: str) -> None:
    """`check_job_id` and `check_client_id`, with the empty client last."""
    check_job_id(job_id)
    check_client_id(client_id)
