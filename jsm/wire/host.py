"""The process around a server: its user, its limits, and what `stats` tells of it."""

import os
import pwd
import resource
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic

from jsm.errors import JsmError
from jsm.statistics import ProcessValue


class HostError(JsmError):
    """The system refuses what the server asks of it; the text says what, and what to do."""

    wire_reply = "INTERNAL_ERROR"


def raise_file_limit() -> int:
    """Allow as many open files, so as many connections, as the system lets this process; returns how many."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != most:
        with suppress(OSError, ValueError):  # some systems name a limit that they don't grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return most
    return limit


def become_user(name: str) -> None:
    """Become a user, with the user's groups, for good. Raises `HostError`; some steps may be done by then."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise HostError(f"-u = {name!r}: no user has that name; give a name of this machine's users") from None
    if (user.pw_uid, user.pw_gid) == (os.geteuid(), os.getegid()):
        return
    try:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except OSError as error:
        raise HostError(
            f"-u = {name!r}: can't become that user ({error.strerror}); start as root, or leave -u out"
        ) from None


def process_values(version: str) -> Callable[[], Mapping[str, ProcessValue]]:
    """What `stats` shows of this process each time that it is asked; uptime counts from this call."""
    begin = monotonic()
    system = os.uname()
    fixed: dict[str, ProcessValue] = {
        "pid": os.getpid(),
        "version": version,
        "id": secrets.token_hex(8),
        "hostname": system.nodename,
        "os": system.version,
        "platform": system.machine,
    }

    def values() -> Mapping[str, ProcessValue]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            **fixed,
            "rusage-utime": usage.ru_utime,
            "rusage-stime": usage.ru_stime,
            "uptime": int(monotonic() - begin),
        }

    return values
