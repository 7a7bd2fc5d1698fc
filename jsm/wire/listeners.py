"""The sockets that a server listens on: TCP, IPv6, Unix, or one that systemd hands over.

Every failure is a `ListenError`, one line that says what to do about it.

Source: beanstalkd's `doc/protocol.txt` for the transport, systemd's `sd_listen_fds` for the hand-over.
"""

import errno
import os
import socket
import stat
import struct
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final, NamedTuple

from jsm.errors import JsmError
from jsm.wire.options import Address

BACKLOG: Final = 1024
_FIRST_HANDED_OVER: Final = 3  # the number of the first descriptor that systemd passes


class ListenError(JsmError):
    """A server can't listen where it should; the text says why, and what to do."""

    wire_reply = "INTERNAL_ERROR"


class Listener(NamedTuple):
    """A socket that listens and doesn't block."""

    socket: socket.socket
    address: Address  # where it listens, the port known
    file: tuple[int, int, int] | None = None  # what tells the Unix socket's file from another, when it was made here

    def close(self) -> None:
        """Stop listening; a Unix socket's file goes too, unless somebody else's stands in its place by now."""
        self.socket.close()
        if self.file is not None and isinstance(self.address, str):
            with suppress(OSError):
                if _file(self.address) == self.file:
                    os.unlink(self.address)


def open_listener(address: Address) -> Listener:
    """Listen at an address. Raises `ListenError`.

    A Unix socket that a server left behind is replaced; one that answers is not.
    """
    if isinstance(address, str):
        return _open_unix(address)
    host, port = address
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ListenError(f"-l = {host!r}: {reason}; give an address or a name of this machine") from None
    refused: list[OSError] = []
    for family, kind, protocol, _, place in found:
        try:
            return _open_inet(family, kind, protocol, place)
        except OSError as error:
            refused.append(error)
    first = refused[0]
    remedy = _REMEDIES.get(first.errno or 0, "choose another address or port")
    raise ListenError(f"can't listen on {show_address(address)}: {first.strerror or first}; {remedy}") from first


def take_handed_over(environment: MutableMapping[str, str]) -> tuple[Listener, int] | None:
    """The listening socket that systemd hands over, and how many it hands over; None: none. Raises `ListenError`.

    The environment loses the variables that say so, for programs that this one may start.
    """
    process, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()) or not count.isdecimal() or int(count) < 1:
        return None
    try:
        handed = socket.socket(fileno=_FIRST_HANDED_OVER)
        is_listening = handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    except OSError as error:
        raise ListenError(
            f"LISTEN_FDS = {count}: descriptor {_FIRST_HANDED_OVER} is no socket ({error.strerror}); "
            "start the server from a systemd .socket unit, or unset LISTEN_FDS"
        ) from None
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if not is_listening or handed.type != socket.SOCK_STREAM or handed.family not in families:
        handed.close()
        raise ListenError(
            f"LISTEN_FDS = {count}: descriptor {_FIRST_HANDED_OVER} is no listening TCP or Unix stream socket; "
            "use ListenStream= in the .socket unit"
        )
    handed.set_inheritable(False)
    _prepare(handed)
    return Listener(handed, _address_of(handed)), int(count)


def show_address(address: Address) -> str:
    """An address as people write it."""
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_REMEDIES: Final = {
    errno.EADDRINUSE: "stop what listens there, or choose another port with -p (0: the system chooses)",
    errno.EACCES: "choose a port from 1024 on with -p, or start as root and give -u",
    errno.EADDRNOTAVAIL: "give an address of this machine with -l",
    errno.EAFNOSUPPORT: "give an address of a kind that this machine has with -l",
}


def _open_inet(family: int, kind: int, protocol: int, place: tuple[object, ...]) -> Listener:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
        _prepare(listener)
    except BaseException:
        listener.close()
        raise
    return Listener(listener, _address_of(listener))


def _open_unix(path: str) -> Listener:
    _make_room(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
        _prepare(listener)
        return Listener(listener, path, _file(path))
    except OSError as error:
        listener.close()
        raise ListenError(
            f"can't listen on unix:{path}: {error.strerror or error}; choose a path in a folder that may be written to"
        ) from error


def _make_room(path: str) -> None:
    """Remove a socket that nobody listens on any more. Raises `ListenError` for anything else in its place."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # nothing there, or nothing that may be looked at: binding tells
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"can't listen on unix:{path}: it is there and is no socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except TimeoutError:
            pass  # whoever listens is busy
    raise ListenError(f"can't listen on unix:{path}: a server answers there; stop it, or choose another path")


def _file(path: str) -> tuple[int, int, int]:
    """Device, inode and time of a file: the number of an inode alone is soon another file's."""
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _address_of(listener: socket.socket) -> Address:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return os.fsdecode(name)
    return str(name[0]), int(name[1])


def _prepare(listener: socket.socket) -> None:
    """What accepted sockets inherit: answers leave at once, dead peers are noticed, closing never blocks."""
    listener.setblocking(False)
    if listener.family == socket.AF_UNIX:
        return
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
