"""The files of the package: snapshots, traces, and a journal from which a server recovers.

With the server, the only part of `jsm` that touches the disk.
"""

from jsm.journal.errors import JournalError
from jsm.journal.files import (
    TraceFile,
    read_snapshot_file,
    read_trace_file,
    write_snapshot_file,
    write_trace_file,
)

__all__ = [
    "JournalError",
    "TraceFile",
    "read_snapshot_file",
    "read_trace_file",
    "write_snapshot_file",
    "write_trace_file",
]
