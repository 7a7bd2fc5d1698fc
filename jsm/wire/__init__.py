"""The beanstalkd protocol over the machine.

`codec` turns bytes into commands and replies, `session` is one connection, `broker` the machine with all its
sessions: bytes in, bytes out, with the time as an argument. `server` adds sockets and a clock.
"""

from jsm.wire.broker import Broker
from jsm.wire.codec import BadLine, Command, CommandReader, Reply, ReplyReader, encode_command
from jsm.wire.session import Session

__all__ = [
    "BadLine",
    "Broker",
    "Command",
    "CommandReader",
    "Reply",
    "ReplyReader",
    "Session",
    "encode_command",
]
