"""What the server is told on its command line, checked before anything is opened.

beanstalkd's flags are read as beanstalkd reads them: single letters, several behind one dash, a value in the same
word or in the next one (`-Vp11300`, `-p 11300`). What goes beyond them has long names (`--clock manual`).

Source: beanstalkd's usage text and the observed behaviour of its flags. A number that it takes as something else
without a word is refused here.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from jsm.errors import BadValueError
from jsm.limits import MAX_JOB_SIZE
from jsm.wire.clocks import FACTOR_MAX

HOST: Final = "0.0.0.0"
PORT: Final = 11300
JOB_SIZE_LIMIT: Final = 1_073_741_824  # bytes: the most that -z allows; what is above is lowered, with a warning
SYNC_MS: Final = 50
FILE_SIZE: Final = 10_485_760  # bytes of a journal file
LOOPS: Final = ("auto", "asyncio", "uvloop")

_SYNC_MS_MAX: Final = 86_400_000  # a day
_FILE_SIZE_MAX: Final = 2**40
_FILE_SIZE_STEP: Final = 4096  # a file's size is a multiple of it
_UNIX: Final = "unix:"
_UNIX_PATH_BYTES_MAX: Final = 107  # what a socket address holds
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_FACTOR: Final = re.compile(r"scaled:([0-9]{1,10}(?:\.[0-9]{1,9})?)", re.ASCII)

_WITH_VALUE: Final = {
    "-p": "port",
    "-l": "host",
    "-z": "job_size",
    "-s": "file_size",
    "-f": "sync_ms",
    "-u": "user",
    "-b": "folder",
    "--clock": "clock",
    "--clock-port": "clock_port",
    "--trace": "trace",
    "--loop": "loop",
}
_WITHOUT_VALUE: Final = ("-F", "-V", "-v", "-h", "-c", "-n", "--version", "--help", "--json", "--quiet")

Address = tuple[str, int] | str
"""Where a server listens: host and port, or the path of a Unix socket."""


class UsageError(BadValueError):
    """A command line can't be carried out; its text is one line with option, value and remedy."""


class Given(NamedTuple):
    """The options as texts, before they are checked; None: not given."""

    host: str | None = None
    port: str | None = None
    job_size: str | None = None
    folder: str | None = None
    sync_ms: str | None = None
    never_sync: bool = False
    file_size: str | None = None
    user: str | None = None
    removed: tuple[str, ...] = ()  # flags that do nothing any more
    talk: int = 0
    clock: str | None = None
    clock_port: str | None = None
    trace: str | None = None
    loop: str | None = None
    json: bool = False
    quiet: bool = False
    version: bool = False
    help: bool = False


class ServeOptions(NamedTuple):
    """What a server is to do."""

    address: Address
    max_job_size: int  # bytes
    folder: str | None  # of the journal; None: nothing is kept
    sync_ms: int | None  # at most once in so many milliseconds; 0: before every reply; None: never
    file_size: int  # bytes of a journal file
    user: str | None
    talk: int  # 1: what the server does, 2: who comes and goes
    factor: Fraction | None  # of the clock; None: it is advanced by hand
    clock_port: int | None  # of a manual clock; 0: the system chooses
    trace: str | None
    loop: str  # one of `LOOPS`
    json: bool
    quiet: bool
    warnings: tuple[str, ...]  # a line each


def read_flags(words: Sequence[str]) -> Given:
    """The options of a command line in beanstalkd's manner. Raises `UsageError`.

    Of an option that is given twice the last one counts, -f after -F included; -v and -h end the reading.
    """
    texts: dict[str, str] = {}
    flags: dict[str, bool] = {}
    removed: list[str] = []
    talk = 0
    waiting = list(reversed(words))
    while waiting:
        flag, rest = _split(waiting.pop())
        if flag in _WITH_VALUE:
            if rest is None and not waiting:
                raise UsageError(flag, "", f"a value behind it, as in: {flag} {_EXAMPLES[flag]}")
            texts[_WITH_VALUE[flag]] = waiting.pop() if rest is None else rest
            if flag == "-f":
                flags["never_sync"] = False
            continue
        if rest is not None:  # more letters behind one dash
            waiting.append(f"-{rest}")
        match flag:
            case "-v" | "--version":
                return Given(version=True)
            case "-h" | "--help":
                return Given(help=True)
            case "-F":
                flags["never_sync"] = True
            case "-V":
                talk += 1
            case "--json" | "--quiet":
                flags[flag[2:]] = True
            case _:
                removed.append(flag)
    return Given(**texts, **flags, removed=tuple(removed), talk=talk)  # type: ignore[arg-type]


def check_options(given: Given) -> ServeOptions:
    """The options as values. Raises `UsageError`; of several faults it names the first."""
    warnings = [f"{flag} does nothing: the journal is always compacted" for flag in given.removed]
    max_job_size = _number("-z", given.job_size, MAX_JOB_SIZE, "bytes", 0, None)
    if max_job_size > JOB_SIZE_LIMIT:
        warnings.append(f"-z = {given.job_size}: lowered to {JOB_SIZE_LIMIT}, the most that is allowed")
        max_job_size = JOB_SIZE_LIMIT
    file_size = _number("-s", given.file_size, FILE_SIZE, "bytes", 1, _FILE_SIZE_MAX)
    sync_ms = _number("-f", given.sync_ms, SYNC_MS, "milliseconds", 0, _SYNC_MS_MAX)
    if given.folder is None and (given.file_size or given.sync_ms or given.never_sync):
        warnings.append("-s, -f and -F do nothing without -b, the folder of a journal")
    for field, text in (("-b", given.folder), ("-u", given.user), ("--trace", given.trace)):
        if text == "":
            raise UsageError(field, text, "a name; leave the option out if there is none")
    loop = "auto" if given.loop is None else given.loop
    if loop not in LOOPS:
        raise UsageError("--loop", loop, f"one of {', '.join(LOOPS)}")
    factor = _factor("real" if given.clock is None else given.clock)
    if factor is not None and given.clock_port is not None:
        raise UsageError("--clock-port", given.clock_port, "--clock manual beside it: no other clock can be advanced")
    return ServeOptions(
        address=_address(given.host, given.port),
        max_job_size=max_job_size,
        folder=given.folder,
        sync_ms=None if given.never_sync else sync_ms,
        file_size=-(-file_size // _FILE_SIZE_STEP) * _FILE_SIZE_STEP,
        user=given.user,
        talk=given.talk,
        factor=factor,
        clock_port=None if factor is not None else _port("--clock-port", given.clock_port, 0),
        trace=given.trace,
        loop=loop,
        json=given.json,
        quiet=given.quiet,
        warnings=tuple(warnings),
    )


_EXAMPLES: Final = {
    "-p": str(PORT),
    "-l": "127.0.0.1",
    "-z": str(MAX_JOB_SIZE),
    "-s": str(FILE_SIZE),
    "-f": str(SYNC_MS),
    "-u": "nobody",
    "-b": "journal",
    "--clock": "manual",
    "--clock-port": "11301",
    "--trace": "trace.jsonl",
    "--loop": "asyncio",
}


def _split(word: str) -> tuple[str, str | None]:
    """The first option of a word, and what stands behind it in the word; None: nothing."""
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        if flag in _WITH_VALUE:
            return flag, value if equals else None
        if word in _WITHOUT_VALUE:
            return word, None
    elif word.startswith("-"):
        flag, rest = word[:2], word[2:] or None
        if flag in _WITH_VALUE or flag in _WITHOUT_VALUE:
            return flag, rest
        word = flag
    raise UsageError("option", word, f"one of {' '.join((*_WITH_VALUE, *_WITHOUT_VALUE))}")


def _number(field: str, text: str | None, default: int, unit: str, least: int, most: int | None) -> int:
    """A whole number in decimal digits."""
    if text is None:
        return default
    span = f"a whole number of {unit}, at least {least}" if most is None else f"{least} to {most} {unit}, in digits"
    if _NUMBER.fullmatch(text) is None or int(text) < least or (most is not None and int(text) > most):
        raise UsageError(field, text, f"{span}, as in: {field} {_EXAMPLES[field]}")
    return int(text)


def _port(field: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    if _NUMBER.fullmatch(text) is None or int(text) > 65535:
        raise UsageError(field, text, "a port from 0 to 65535; 0 lets the system choose one")
    return int(text)


def _address(host: str | None, port: str | None) -> Address:
    """Where to listen. An IPv6 address may stand in brackets."""
    number = _port("-p", port, PORT)
    if host is None:
        return HOST, number
    if host.startswith(_UNIX):
        path = host.removeprefix(_UNIX)
        if not 0 < len(path.encode(errors="surrogateescape")) <= _UNIX_PATH_BYTES_MAX or "\0" in path:
            raise UsageError("-l", host, f"a path of 1 to {_UNIX_PATH_BYTES_MAX} bytes behind {_UNIX}")
        return path
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host:
        raise UsageError("-l", host, "an address, a host name or unix:PATH, as in: -l 127.0.0.1")
    return host, number


def _factor(clock: str) -> Fraction | None:
    """How fast the clock goes; None: it is advanced by hand."""
    if clock == "manual":
        return None
    if clock == "real":
        return Fraction(1)
    found = _FACTOR.fullmatch(clock)
    factor = Fraction(found[1]) if found else Fraction(0)
    if not 0 < factor <= FACTOR_MAX:
        raise UsageError(
            "--clock", clock, f"real, manual, or scaled:N with N above 0 and at most {FACTOR_MAX}, as in scaled:60"
        )
    return factor
