"""The process around a server: its user, its limits, and what `stats` tells of it."""

import os
import pwd
import resource
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final

from jsm.errors import JsmError
from jsm.statistics import ProcessValue

PROTOCOL_RELEASE: Final = "1.13"
"""beanstalkd's release whose protocol the server speaks."""


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


def version_text() -> str:
    """The release of beanstalkd whose protocol is spoken, and behind it this program's own, as in `1.13+jsm0.1.0`."""
    from importlib.metadata import PackageNotFoundError, version  # takes as long to import as the whole machine

    try:
        return f"{PROTOCOL_RELEASE}+jsm{version('beanstalk-jsm')}"
    except PackageNotFoundError:  # files that are used without an installation
        return f"{PROTOCOL_RELEASE}+jsm"


def process_values(
    more: Callable[[], Mapping[str, ProcessValue]] | None = None,
) -> Callable[[], Mapping[str, ProcessValue]]:
    """What `stats` shows of this process and what `more` knows, each time that it is asked; uptime counts from now."""
    begin = monotonic()
    fixed: dict[str, ProcessValue] = {"id": os.urandom(8).hex()}

    def values() -> Mapping[str, ProcessValue]:
        if "pid" not in fixed:
            system = os.uname()
            fixed.update(
                {
                    "pid": os.getpid(),
                    "version": PROTOCOL_RELEASE,  # clients compare it as a number with dots: nothing may stand behind
                    "hostname": system.nodename,
                    "os": system.version,
                    "platform": system.machine,
                }
            )
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            **fixed,
            "rusage-utime": usage.ru_utime,
            "rusage-stime": usage.ru_stime,
            "uptime": int(monotonic() - begin),
            **({} if more is None else more()),
        }

    return values
