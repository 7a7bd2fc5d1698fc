"""The command `jsm serve`. `jsm-beanstalkd` is the same server without the door (`jsm.wire.beanstalkd`)."""

import sys
from typing import Annotated, Final, NoReturn

import typer

from jsm.limits import MAX_JOB_SIZE
from jsm.wire.host import version_text
from jsm.wire.options import FILE_SIZE, HOST, JOB_SIZE_LIMIT, PORT, SYNC_MS, Given, UsageError, check_options
from jsm.wire.serving import run_server

PROGRAM: Final = "jsm serve"


Host = Annotated[
    str | None,
    typer.Option("-l", metavar="ADDR", help=f"Listen there: an address, a name, or unix:PATH. [{HOST}]"),
]
Port = Annotated[
    str | None,
    typer.Option("-p", metavar="PORT", help=f"Listen on that port; 0 lets the system choose. [{PORT}]"),
]
User = Annotated[str | None, typer.Option("-u", metavar="USER", help="Become that user once the port is open.")]
JobSize = Annotated[
    str | None,
    typer.Option("-z", metavar="BYTES", help=f"The greatest size of a job, at most {JOB_SIZE_LIMIT}. [{MAX_JOB_SIZE}]"),
]
Folder = Annotated[
    str | None,
    typer.Option("-b", metavar="DIR", help="Keep jobs in a journal in that folder, and begin with the jobs in it."),
]
SyncMs = Annotated[
    str | None,
    typer.Option(
        "-f",
        metavar="MS",
        help=f"Force the journal to the disk at most once in that time; 0: before every reply. [{SYNC_MS}]",
    ),
]
NeverSync = Annotated[bool, typer.Option("-F", help="Never force the journal to the disk.")]
FileSize = Annotated[
    str | None, typer.Option("-s", metavar="BYTES", help=f"The size of a file of the journal. [{FILE_SIZE}]")
]
RemovedC = Annotated[bool, typer.Option("-c", help="Does nothing: the journal is always compacted.")]
RemovedN = Annotated[bool, typer.Option("-n", help="Does nothing, as -c.")]
Talk = Annotated[
    int, typer.Option("-V", count=True, help="Tell more; twice: also who comes and goes.", show_default=False)
]
Version = Annotated[bool, typer.Option("-v", "--version", help="Print the version and exit.")]
ShortHelp = Annotated[bool, typer.Option("-h", help="As --help.")]
Clock = Annotated[
    str | None,
    typer.Option("--clock", metavar="CLOCK", help="real; scaled:N, N times as fast; or manual. [real]"),
]
ClockPort = Annotated[
    str | None,
    typer.Option("--clock-port", metavar="PORT", help="Where a manual clock is moved; 0 lets the system choose. [0]"),
]
Trace = Annotated[
    str | None,
    typer.Option("--trace", metavar="FILE", help="Write every call and transition there, for jsm verify."),
]
Loop = Annotated[str | None, typer.Option("--loop", metavar="LOOP", help="auto, asyncio or uvloop. [auto]")]
AsJson = Annotated[bool, typer.Option("--json", help="Say where it listens as a JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Don't say where it listens.")]


def serve(
    context: typer.Context,
    *,
    host: Host = None,
    port: Port = None,
    user: User = None,
    job_size: JobSize = None,
    folder: Folder = None,
    sync_ms: SyncMs = None,
    never_sync: NeverSync = False,
    file_size: FileSize = None,
    removed_c: RemovedC = False,
    removed_n: RemovedN = False,
    talk: Talk = 0,
    version: Version = False,
    short_help: ShortHelp = False,
    clock: Clock = None,
    clock_port: ClockPort = None,
    trace: Trace = None,
    loop: Loop = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Serve beanstalkd's protocol, under a clock of your choice.

    The single letters are beanstalkd's. SIGUSR1 refuses puts from then on, SIGTERM ends the server. A manual clock
    stands still until somebody connects to its port and sends "advance SECONDS".

    Exit codes: 0 after SIGTERM, 2 when it can't be done, 130 interrupted.
    """
    if version:
        print(f"beanstalkd {version_text()}")
        return
    if short_help:
        print(context.get_help())
        return
    given = Given(
        host=host,
        port=port,
        job_size=job_size,
        folder=folder,
        sync_ms=sync_ms,
        never_sync=never_sync,
        file_size=file_size,
        user=user,
        removed=tuple(flag for flag, is_given in (("-c", removed_c), ("-n", removed_n)) if is_given),
        talk=talk,
        clock=clock,
        clock_port=clock_port,
        trace=trace,
        loop=loop,
        json=as_json,
        quiet=quiet,
    )
    try:
        options = check_options(given)
    except UsageError as error:
        _refuse(str(error))
    raise typer.Exit(run_server(options, program=PROGRAM))


def _refuse(message: str) -> NoReturn:
    print(f"{PROGRAM}: {message}; {PROGRAM} --help lists what there is", file=sys.stderr)
    raise typer.Exit(2)
