"""The files of the package: snapshots, traces, and a journal from which a server recovers.

With the server, the only part of `jsm` that touches the disk.
"""

from jsm.journal.durable import DurableMachine
from jsm.journal.errors import JournalDamagedError, JournalError, JournalUnfitError, NotDurableError
from jsm.journal.files import (
    TraceFile,
    read_snapshot_file,
    read_trace_file,
    write_snapshot_file,
    write_trace_file,
)
from jsm.journal.keeping import SYNC_ALWAYS, SYNC_NEVER, SyncPolicy
from jsm.journal.opening import open_journal

__all__ = [
    "SYNC_ALWAYS",
    "SYNC_NEVER",
    "DurableMachine",
    "JournalDamagedError",
    "JournalError",
    "JournalUnfitError",
    "NotDurableError",
    "SyncPolicy",
    "TraceFile",
    "open_journal",
    "read_snapshot_file",
    "read_trace_file",
    "write_snapshot_file",
    "write_trace_file",
]
