"""A caller's arguments, made fit to be written before a machine checks them."""

from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Any

from jsm.errors import BadValueError
from jsm.job import TubeName
from jsm.limits import check_watch_list


def bytes_of(value: object) -> Any:
    """The bytes that a buffer holds; any other value as it is."""
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def tuple_of(value: object) -> Any:
    """What an iterable gives, which perhaps can be read once only; any other value as it is."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else value


def names_text(tubes: object) -> str | None:
    """The JSON text of a watch list; None when it is none."""
    try:
        return _text_of(tubes) if type(tubes) is tuple else None
    except (BadValueError, TypeError):
        return None


@lru_cache(maxsize=1024)
def _text_of(tubes: tuple[TubeName, ...]) -> str:
    """The JSON text of a watch list; a worker asks with the same one again and again."""
    check_watch_list(tubes)
    return f"[{','.join(map(quoted, tubes))}]"
