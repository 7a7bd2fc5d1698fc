"""The port on which a test moves a server's manual clock: lines of text, one reply each.

`advance SECONDS` moves the clock and answers `OK NOW` once everything that fell due has happened and its replies have
left; `now` answers `NOW`. Seconds may have a fraction; NOW is the seconds since the machine began. Anything else is
answered by `ERROR` and why.
"""

import asyncio
import re
from typing import Final

from jsm.errors import BadValueError
from jsm.wire.clocks import Clock
from jsm.wire.listeners import Listener
from jsm.wire.options import Address
from jsm.wire.server import Server

_SECONDS: Final = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?", re.ASCII)
_LINE_BYTES_MAX: Final = 1024


class ClockPort:
    """Moves a server's clock for whoever connects."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._listening: asyncio.Server | None = None
        self._writers: dict[asyncio.StreamWriter, None] = {}

    async def start(self, listener: Listener) -> Address:
        """Answer lines there; returns the address."""
        self._listening = await asyncio.start_server(self._serve, sock=listener.socket, limit=_LINE_BYTES_MAX)
        return listener.address

    async def stop(self) -> None:
        """Close the port and its connections."""
        if self._listening is not None:
            self._listening.close()
        for writer in self._writers:
            writer.close()
        if self._listening is not None:
            await self._listening.wait_closed()

    async def answer(self, line: str) -> str:
        """The reply to a line, both without their ends."""
        match line.split():
            case ["now"]:
                return show_seconds(self._clock.now(), self._clock.units_per_second)
            case ["advance", text]:
                try:
                    if _SECONDS.fullmatch(text) is None:
                        raise BadValueError("seconds", text, "a number of seconds in digits, as in: advance 10")
                    now = await self._server.advance(float(text))
                except BadValueError as error:
                    return f"ERROR {error}"
                return f"OK {show_seconds(now, self._clock.units_per_second)}"
        return "ERROR expected one of: advance SECONDS, now"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers[writer] = None
        try:
            while line := await reader.readline():
                text = line.decode("ascii", errors="replace").strip()
                writer.write((await self.answer(text)).encode("ascii", errors="replace") + b"\n")
                await writer.drain()
        except ValueError:  # a line that doesn't end
            writer.write(b"ERROR the line is too long\n")
        except ConnectionError:
            pass
        finally:
            self._writers.pop(writer, None)
            writer.close()


def show_seconds(units: int, units_per_second: int) -> str:
    """An instant as seconds, exactly, without needless digits."""
    whole, rest = divmod(units, units_per_second)
    if not rest:
        return str(whole)
    return f"{whole}.{rest * 10**9 // units_per_second:09d}".rstrip("0")
